import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveKeys } from '../../src/config/keys.ts';

let dir: string;
beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'waxwing-keys-')), 'data');
});
afterEach(async () => {
  await rm(join(dir, '..'), { recursive: true });
});

const none = () => ({
  waxwingDataDir: dir,
  waxwingApiKey: undefined,
  jwtSecret: undefined,
  waxwingSecretKey: undefined,
});

describe('resolveKeys()', () => {
  test('makes what is unset once, readable by this user only, and gives the same afterwards', async () => {
    const first = await resolveKeys(none());
    expect(first.made).toEqual(['apiKey', 'jwtSecret', 'secretKey']);
    expect(first.apiKey).toMatch(/^wx_[\w-]{43}$/);
    expect((await stat(join(dir, 'keys.json'))).mode & 0o777).toBe(0o600);
    expect(await resolveKeys(none())).toEqual({ ...first, made: [] });
    expect(await readdir(dir)).toEqual(['keys.json']);
  });

  test('a given key wins, is not stored, and touches no file when all are given', async () => {
    const given = {
      waxwingDataDir: dir,
      waxwingApiKey: 'given-key',
      jwtSecret: 'given-jwt',
      waxwingSecretKey: 'given-secret',
    };
    expect(await resolveKeys(given)).toEqual({
      apiKey: 'given-key',
      jwtSecret: 'given-jwt',
      secretKey: 'given-secret',
      previousSecretKeys: [],
      made: [],
    });
    await expect(stat(dir)).rejects.toMatchObject({ code: 'ENOENT' });
    const mixed = await resolveKeys({ ...none(), waxwingApiKey: 'given-key' });
    expect(mixed.made).toEqual(['jwtSecret', 'secretKey']);
    expect(await readFile(join(dir, 'keys.json'), 'utf8')).not.toContain('given-key');
  });

  test('adds a key that is missing from the file and keeps the others', async () => {
    const first = await resolveKeys({ ...none(), waxwingApiKey: 'given-key' });
    const second = await resolveKeys(none());
    expect(second).toMatchObject({ jwtSecret: first.jwtSecret, secretKey: first.secretKey, made: ['apiKey'] });
  });

  test('calls at the same time in one process agree', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => resolveKeys(none())));
    expect(new Set(all.map((keys) => keys.apiKey)).size).toBe(1);
    expect(all.flatMap((keys) => keys.made).sort()).toEqual(['apiKey', 'jwtSecret', 'secretKey']);
  });

  test('processes at the same time agree, and exactly one says that it made the key', async () => {
    const outputs = await Promise.all(Array.from({ length: 4 }, () => inChild(dir)));
    expect(new Set(outputs.map((keys) => keys.apiKey)).size).toBe(1);
    expect(outputs.flatMap((keys) => keys.made).sort()).toEqual(['apiKey', 'jwtSecret', 'secretKey']);
  });

  test('takes over the lock of a process that died', async () => {
    await resolveKeys({ ...none(), waxwingApiKey: 'given-key' });
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    await writeFile(join(dir, 'keys.json.lock'), String(child.pid));
    expect((await resolveKeys(none())).made).toEqual(['apiKey']);
    expect(await readdir(dir)).toEqual(['keys.json']);
  });

  test('takes over a lock with its own pid, which a container leaves behind', async () => {
    await resolveKeys({ ...none(), waxwingApiKey: 'given-key' });
    await writeFile(join(dir, 'keys.json.lock'), String(process.pid));
    expect((await resolveKeys(none())).made).toEqual(['apiKey']);
  });

  test('refuses a damaged file instead of making new keys', async () => {
    await resolveKeys(none());
    await writeFile(join(dir, 'keys.json'), '{"apiKey":');
    await expect(resolveKeys(none())).rejects.toThrow(/is damaged/);
  });
});

async function inChild(dataDir: string): Promise<{ apiKey: string; made: string[] }> {
  const module = new URL('../../src/config/keys.ts', import.meta.url).href;
  const script = `import(${JSON.stringify(module)}).then(async ({ resolveKeys }) =>
    process.stdout.write(JSON.stringify(await resolveKeys({ waxwingDataDir: ${JSON.stringify(dataDir)} }))))`;
  const child = spawn(process.execPath, ['--import', 'tsx', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(0);
  return JSON.parse(output) as { apiKey: string; made: string[] };
}
