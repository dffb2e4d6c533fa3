import { randomBytes } from 'node:crypto';
import {
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isIdentity, isRunning, type ProcessIdentity } from './process-identity.ts';

/*
 * A lock between processes in plain files that is correct without a second lock for taking over a stale one. Every
 * contender puts down a file of its own, then looks for files of others that are alive. Whoever sees one withdraws.
 * Of two contenders the later to put down its file always sees the earlier one, so two can never both hold the lock;
 * both may withdraw, and then a random pause decides. A file whose process has ended counts for nothing. A single file
 * that is removed when stale cannot promise this: two processes that find the same stale file can each remove it, and
 * the slower one removes the faster one's new lock.
 *
 * A process of another container on the same volume cannot be looked up by its id, and ids there begin anew at every
 * start. Its file counts as long as its time is renewed.
 */

export interface FileLock {
  /** Gives the lock back. May be called twice. */
  release(): void;
}

export interface LockHolder {
  readonly pid: number;
  /** It runs in another container or on another machine, so that its id says nothing here. */
  readonly isElsewhere: boolean;
}

export type LockAttempt =
  { readonly lock: FileLock; readonly holder?: undefined } | { readonly lock?: undefined; readonly holder: LockHolder };

interface Claim {
  readonly process: ProcessIdentity;
  readonly place: string;
}

/** Tries before a live contender is taken for the holder; contenders of the same moment have withdrawn by then. */
const TRIES_MAX = 6;
const RENEW_MS = 2_000;
/** A holder elsewhere that has not renewed for this long has ended: five renewals missed. */
export const ELSEWHERE_STALE_MS = 10_000;

/** Where process ids mean the same: this machine and this container. */
function placeOfIds(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

function readClaim(path: string): Claim | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as { process?: unknown; place?: unknown };
    if (!isIdentity(value.process) || typeof value.place !== 'string') return undefined;
    return { process: value.process, place: value.place };
  } catch {
    return undefined;
  }
}

function renewedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function liveOther(folder: string, name: string, own: string): LockHolder | undefined {
  const place = placeOfIds();
  for (const file of readdirSync(folder)) {
    if (!file.startsWith(`${name}.`) || file === own || file.endsWith('.new')) continue;
    const path = join(folder, file);
    const claim = readClaim(path);
    if (claim !== undefined) {
      const isElsewhere = claim.place !== place;
      // Both times are the volume's, so that two machines' clocks need not agree.
      const isLive = isElsewhere
        ? renewedMs(join(folder, own)) - renewedMs(path) < ELSEWHERE_STALE_MS
        : isRunning(claim.process);
      if (isLive) return { pid: claim.process.pid, isElsewhere };
    }
    rmSync(path, { force: true });
  }
  return undefined;
}

function renewing(path: string): FileLock {
  const timer = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // The folder was removed, or cannot be written for a moment.
    }
  }, RENEW_MS);
  timer.unref();
  return {
    release() {
      clearInterval(timer);
      rmSync(path, { force: true });
    },
  };
}

/** Takes the lock `name` in `folder`, or says who holds it. Never waits for a holder to finish. */
export async function tryLock(folder: string, name: string): Promise<LockAttempt> {
  const self = identify(process.pid);
  if (self === undefined) throw new Error('This process cannot read its own start time.');
  for (let attempt = 1; ; attempt += 1) {
    const file = `${name}.${process.pid}-${randomBytes(4).toString('hex')}`;
    const path = join(folder, file);
    // Written aside and renamed, so that nobody reads a half-written file and takes its owner for dead.
    writeFileSync(`${path}.new`, JSON.stringify({ process: self, place: placeOfIds() } satisfies Claim), {
      mode: 0o600,
    });
    renameSync(`${path}.new`, path);
    const holder = liveOther(folder, name, file);
    if (holder === undefined) return { lock: renewing(path) };
    rmSync(path, { force: true });
    if (attempt >= TRIES_MAX) return { holder };
    await delay(5 + Math.random() * 20 * attempt);
  }
}

/** Waits for the lock `name` in `folder`, up to `timeoutMs`; `onWait` is told once whom it waits for. */
export async function waitForLock(
  folder: string,
  name: string,
  options: { readonly timeoutMs: number; readonly onWait?: (holder: LockHolder) => void },
): Promise<FileLock> {
  const deadlineMs = performance.now() + options.timeoutMs;
  let isTold = false;
  for (;;) {
    const { lock, holder } = await tryLock(folder, name);
    if (lock !== undefined) return lock;
    if (performance.now() > deadlineMs)
      throw new Error(`Process ${holder.pid} has held ${join(folder, name)} too long.`);
    if (!isTold) options.onWait?.(holder);
    isTold = true;
    await delay(100);
  }
}
