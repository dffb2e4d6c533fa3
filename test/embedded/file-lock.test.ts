import { mkdtempSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { ELSEWHERE_STALE_MS, tryLock, waitForLock } from '../../src/embedded/file-lock.ts';
import { identify } from '../../src/embedded/process-identity.ts';

const folder = (): string => mkdtempSync(join(inject('waxwingRunFolder'), 'lock-'));

test('tryLock() gives the lock to one, names the holder to others, and to the next after release()', async () => {
  const where = folder();
  const first = await tryLock(where, 'a.lock');
  expect(await tryLock(where, 'a.lock')).toEqual({ holder: { pid: process.pid, isElsewhere: false } });
  expect((await tryLock(where, 'b.lock')).lock).toBeDefined();
  first.lock?.release();
  first.lock?.release();
  expect((await tryLock(where, 'a.lock')).lock).toBeDefined();
});

test('tryLock() takes over from a process that has ended, from one whose number was reused, and from half a file', async () => {
  const where = folder();
  const { lock } = await tryLock(where, 'a.lock');
  const [name = ''] = readdirSync(where);
  const { place } = JSON.parse(readFileSync(join(where, name), 'utf8')) as { place: string };
  lock?.release();
  writeFileSync(join(where, 'a.lock.1'), JSON.stringify({ process: { pid: 999_999_999, startedAt: 'x' }, place }));
  writeFileSync(join(where, 'a.lock.2'), JSON.stringify({ process: { pid: process.pid, startedAt: 'x' }, place }));
  writeFileSync(join(where, 'a.lock.3'), '{"process":');
  expect((await tryLock(where, 'a.lock')).lock).toBeDefined();
  expect(readdirSync(where)).toHaveLength(1);
});

test('tryLock() believes a holder in another container while it renews its file, and no longer', async () => {
  const where = folder();
  const file = join(where, 'a.lock.7-elsewhere');
  writeFileSync(file, JSON.stringify({ process: identify(process.pid), place: 'another container' }));
  expect((await tryLock(where, 'a.lock')).holder).toMatchObject({ isElsewhere: true });
  const longAgo = new Date(Date.now() - ELSEWHERE_STALE_MS - 1_000);
  utimesSync(file, longAgo, longAgo);
  expect((await tryLock(where, 'a.lock')).lock).toBeDefined();
});

test('waitForLock() lets contenders in one at a time', async () => {
  const where = folder();
  let inside = 0;
  let insideMax = 0;
  let served = 0;
  const contend = async (): Promise<void> => {
    const lock = await waitForLock(where, 'a.lock', { timeoutMs: 15_000 });
    inside += 1;
    insideMax = Math.max(insideMax, inside);
    await new Promise((resolve) => setImmediate(resolve));
    served += 1;
    inside -= 1;
    lock.release();
  };
  await Promise.all(Array.from({ length: 6 }, contend));
  expect([insideMax, served]).toEqual([1, 6]);
});
