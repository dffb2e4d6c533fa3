import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = new URL('../../', import.meta.url);

test('docs/coverage.md is what the rows and the titles of the tests say', async () => {
  const script = new URL('scripts/coverage.mjs', root);
  const { stderr } = await promisify(execFile)(process.execPath, [script.pathname, '--check']);
  expect(stderr).toBe('');
});

test('docs/rows.json lists every row once, with its issue', async () => {
  const rows = JSON.parse(await readFile(new URL('docs/rows.json', root), 'utf8')) as {
    id: string;
    title: string;
    issue: number;
  }[];
  const counts: Record<string, number> = {};
  for (const { id } of rows) counts[id.charAt(0)] = (counts[id.charAt(0)] ?? 0) + 1;
  expect(counts).toEqual({ S: 14, T: 9, C: 6, Q: 11, R: 11, F: 8, P: 10, D: 1 });
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  for (const { title, issue } of rows) {
    expect(title).not.toBe('');
    expect([2, 3, 4, 5, 6]).toContain(issue);
  }
});
