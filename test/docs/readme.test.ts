import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');

describe('README', () => {
  it('shows the latest figures of the bench and no others', async () => {
    const { stderr } = await promisify(execFile)(process.execPath, [`${root}scripts/readme-bench.mjs`, '--check']);
    expect(stderr).toBe('');
  });

  it('names every room of src in its map', () => {
    const map = /^src\/\n([\s\S]*?)^```/m.exec(readme)?.[1] ?? '';
    const named = [...map.matchAll(/\b([a-z]+)\/(?=\s)/g)].map(([, room]) => room);
    const rooms = readdirSync(`${root}src`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(named).toEqual(expect.arrayContaining(rooms.map(({ name }) => name)));
  });

  it('names scripts that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> };
    for (const page of ['README.md', 'CONTRIBUTING.md', 'docs/operations.md', 'docs/sending.md']) {
      const text = readFileSync(`${root}${page}`, 'utf8');
      const named = [...text.matchAll(/npm run ([a-z:-]+)/g)].map(([, name = '']) => name);
      expect(
        named.filter((name) => scripts[name] === undefined),
        page,
      ).toEqual([]);
    }
  });

  it('stays a front door', () => {
    expect(readme.split('\n').length).toBeLessThan(150);
  });
});
