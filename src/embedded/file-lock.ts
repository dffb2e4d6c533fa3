import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isIdentity, isRunning, type ProcessIdentity } from './process-identity.ts';

/*
 * A lock between processes on one machine, in plain files, that is correct without a second lock for taking over a
 * stale one. Every contender puts down a file of its own, then looks for files of others that are alive. Whoever sees
 * one withdraws. Of two contenders the later to put down its file always sees the earlier one, so two can never both
 * hold the lock; both may withdraw, and then a random pause decides. A file whose process has ended counts for
 * nothing. A single file that is removed when stale cannot promise this: two processes that find the same stale file
 * can each remove it, and the slower one removes the faster one's new lock.
 */

export interface FileLock {
  /** Gives the lock back. May be called twice. */
  release(): void;
}

export type LockAttempt =
  | { readonly lock: FileLock; readonly holder?: undefined }
  | { readonly lock?: undefined; readonly holder: ProcessIdentity };

/** Tries before a live contender is taken for the holder; contenders of the same moment have withdrawn by then. */
const TRIES_MAX = 6;

function readIdentity(path: string): ProcessIdentity | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isIdentity(value) ? { pid: value.pid, startedAt: value.startedAt } : undefined;
  } catch {
    return undefined;
  }
}

function liveOther(folder: string, name: string, own: string): ProcessIdentity | undefined {
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${name}.`) || file === own || file.endsWith('.new')) continue;
    const identity = readIdentity(join(folder, file));
    if (identity !== undefined && isRunning(identity)) return identity;
    rmSync(join(folder, file), { force: true });
  }
  return undefined;
}

/** Takes the lock `name` in `folder`, or says which process holds it. Never waits for a holder to finish. */
export async function tryLock(folder: string, name: string): Promise<LockAttempt> {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('This process cannot read its own start time.');
  for (let attempt = 1; ; attempt += 1) {
    const file = `${name}.${process.pid}-${randomBytes(4).toString('hex')}`;
    const path = join(folder, file);
    // Written aside and renamed, so that nobody reads a half-written file and takes its owner for dead.
    writeFileSync(`${path}.new`, JSON.stringify(self), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    const holder = liveOther(folder, name, file);
    if (holder === undefined) return { lock: { release: () => rmSync(path, { force: true }) } };
    rmSync(path, { force: true });
    if (attempt >= TRIES_MAX) return { holder };
    await delay(5 + Math.random() * 20 * attempt);
  }
}

/** Waits for the lock `name` in `folder`, up to `timeoutMs`; `onWait` is told once whom it waits for. */
export async function waitForLock(
  folder: string,
  name: string,
  options: { readonly timeoutMs: number; readonly onWait?: (holder: ProcessIdentity) => void },
): Promise<FileLock> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let told = false;
  for (;;) {
    const { lock, holder } = await tryLock(folder, name);
    if (lock !== undefined) return lock;
    if (performance.now() > deadlineMs)
      throw new Error(`Process ${holder.pid} has held ${join(folder, name)} too long.`);
    if (!told) options.onWait?.(holder);
    told = true;
    await delay(100);
  }
}
