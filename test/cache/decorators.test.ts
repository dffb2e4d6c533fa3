import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { cacheable, cacheEvict, useCache } from '../../src/cache/index.ts';
import { openCache } from './support/open-cache.ts';

const root = new URL('../../', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'waxwing-decorators-'));
const CACHE = new URL('src/cache/index.ts', root).pathname;

/** What a person writes; compiled in both modes. */
const SOURCE = `
import { Cacheable, CacheEvict } from ${JSON.stringify(CACHE)};

export class Salons {
  asked = 0;
  names = new Map<string, string>([['s1', 'Ada']]);

  @Cacheable({ key: (id: string) => 'salon:' + id, ttl: 60 })
  async find(id: string): Promise<{ name: string | undefined }> {
    this.asked += 1;
    return { name: this.names.get(id) };
  }

  @Cacheable({ key: 'count', ttl: 60 })
  async count(): Promise<number> {
    this.asked += 1;
    return this.names.size;
  }

  @Cacheable({ key: 'broken' })
  async broken(): Promise<never> {
    this.asked += 1;
    throw new Error('no');
  }

  @CacheEvict({ keys: ['salon:{0}', 'count'] })
  async rename(id: string, name: string): Promise<string> {
    if (name === '') throw new Error('a name');
    this.names.set(id, name);
    return name;
  }
}
`;

interface Salons {
  asked: number;
  find(id: string): Promise<{ name: string }>;
  count(): Promise<number>;
  broken(): Promise<never>;
  rename(id: string, name: string): Promise<string>;
}

function compile(isLegacy: boolean): string {
  const file = join(folder, isLegacy ? 'legacy' : 'standard', 'salons.mjs');
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    experimentalDecorators: isLegacy,
  };
  const { outputText } = ts.transpileModule(SOURCE, { compilerOptions: options });
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, outputText);
  return file;
}

function typeErrors(isLegacy: boolean): string[] {
  const file = join(folder, `types-${isLegacy}.ts`);
  writeFileSync(file, SOURCE);
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    types: ['node'],
    typeRoots: [new URL('node_modules/@types', root).pathname],
    experimentalDecorators: isLegacy,
  });
  return program
    .getSemanticDiagnostics(program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each([
  ['standard', false],
  ['legacy', true],
])('C3 · %s decorators', (_name, isLegacy) => {
  let Salons: new () => Salons;
  beforeAll(async () => {
    ({ Salons } = (await import(/* @vite-ignore */ pathToFileURL(compile(isLegacy)).href)) as {
      Salons: typeof Salons;
    });
  });

  it('keep what a method returns, and forget it when another one changes it', async () => {
    const { service } = await openCache(null);
    useCache(service);
    const salons = new Salons();
    expect([await salons.find('s1'), await salons.find('s1')]).toEqual([{ name: 'Ada' }, { name: 'Ada' }]);
    expect([await salons.count(), await salons.count()]).toEqual([1, 1]);
    expect(salons.asked).toBe(2);
    await salons.rename('s1', 'Bo');
    expect(await salons.find('s1')).toEqual({ name: 'Bo' });
    await salons.count();
    expect(salons.asked).toBe(4);
  });

  it('keep this, the name and the number of arguments', async () => {
    const { service } = await openCache(null);
    useCache(service);
    const salons = new Salons();
    expect([salons.find.name, salons.find.length, salons.rename.length]).toEqual(['find', 1, 2]);
    expect(Object.hasOwn(Salons.prototype as object, 'find')).toBe(true);
    await salons.find('s1');
    expect(salons.asked).toBe(1);
  });

  it('keep nothing that failed, and evict nothing when the change failed', async () => {
    const { service } = await openCache(null);
    useCache(service);
    const salons = new Salons();
    await expect(salons.broken()).rejects.toThrow('no');
    await expect(salons.broken()).rejects.toThrow('no');
    expect(salons.asked).toBe(2);
    await salons.find('s1');
    await expect(salons.rename('s1', '')).rejects.toThrow('a name');
    await salons.find('s1');
    expect(salons.asked).toBe(3);
  });

  it('run the method as it is where there is no cache', async () => {
    useCache(null);
    const salons = new Salons();
    await salons.find('s1');
    await salons.find('s1');
    expect(salons.asked).toBe(2);
  });

  it('fit the types of the methods', { timeout: 60_000 }, () => {
    expect(typeErrors(isLegacy)).toEqual([]);
  });
});

describe('C3 · functions', () => {
  it('cacheable() and cacheEvict() keep this, name and types', async () => {
    const { service: cache } = await openCache(null);
    let asked = 0;
    async function area(this: { scale: number }, width: number, height: number): Promise<number> {
      asked += 1;
      return Promise.resolve(this.scale * width * height);
    }
    const kept = cacheable(area, { key: (width, height) => `area:${width}:${height}`, ttl: 60, cache });
    expectTypeOf(kept).toEqualTypeOf(area);
    expect([kept.name, kept.length]).toEqual(['area', 2]);
    expect(await kept.call({ scale: 2 }, 3, 4)).toBe(24);
    expect(await kept.call({ scale: 2 }, 3, 4)).toBe(24);
    expect(asked).toBe(1);
    const forget = cacheEvict((width: number) => Promise.resolve(width), { keys: 'area:{0}:4', cache });
    await forget(3);
    await kept.call({ scale: 2 }, 3, 4);
    expect(asked).toBe(2);
  });
});
