import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

/*
 * A server process that is kept running.
 *
 *   starting ──ready──▶ running ──exit──▶ waiting ──backoff──▶ starting …
 *       └──────── stop ──────┴───── stop ────┴──▶ stopped (for good)
 *
 * The first start is the caller's: when it fails, `start` rejects and nothing is tried again. Every later one is ours:
 * it is repeated with growing pauses until it succeeds or `stop` is called.
 */

export type ServerEvent =
  | { readonly kind: 'started'; readonly pid: number }
  /** It ended although nobody asked; it is started again after `restartInMs`. */
  | { readonly kind: 'died'; readonly reason: string; readonly restartInMs: number }
  | { readonly kind: 'restarted'; readonly pid: number }
  | { readonly kind: 'restart-failed'; readonly reason: string; readonly restartInMs: number };

export interface SupervisedChildOptions {
  /** Starts the process and resolves when it answers; rejects (and leaves no process behind) when it does not. */
  readonly launch: () => Promise<ChildProcess>;
  /** The signal for an orderly end. */
  readonly stopSignal: NodeJS.Signals;
  /** How long an orderly end may take before SIGKILL. */
  readonly stopTimeoutMs: number;
  /** Is it started again when it dies; false leaves it dead, for tests that watch a death. */
  readonly isRestarted: boolean;
  /** What else is known about why a process died, as words for a person; empty when nothing is. */
  readonly explainDeath?: (pid: number) => Promise<string>;
  readonly onEvent?: (event: ServerEvent) => void;
}

export interface SupervisedChild {
  /** The id of the running process, or of the last one. */
  readonly pid: number;
  /** Ends the process and waits for its end; repeated calls wait for the same end. */
  stop(): Promise<void>;
}

const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 5_000;
/** After running this long a death is no longer counted as one of a series. */
const STEADY_MS = 30_000;

/** Children that end with this process when it exits without having stopped them. */
const endAtExit = new Map<ChildProcess, NodeJS.Signals>();

function endChildren(): void {
  for (const [child, signal] of endAtExit) child.kill(signal);
}

/** Has this child ended. */
export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Resolves when the child has ended, with the way it ended in words. */
export function whenEnded(child: ChildProcess): Promise<string> {
  const words = (): string =>
    child.signalCode === null ? `exit code ${child.exitCode ?? 'unknown'}` : `signal ${child.signalCode}`;
  return new Promise((resolve) => {
    if (hasEnded(child)) resolve(words());
    else child.once('exit', () => resolve(words()));
  });
}

/** Ends a child: `signal`, then SIGKILL after `timeoutMs`. Resolves when it has ended. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  const ended = whenEnded(child);
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await ended;
  clearTimeout(timer);
}

/** Starts the process and keeps it running. @throws what `launch` throws, the first time only */
export async function superviseChild(options: SupervisedChildOptions): Promise<SupervisedChild> {
  let child = await options.launch();
  let stopping: Promise<void> | undefined;
  const stopRequest = new AbortController();
  const pidOf = (process: ChildProcess): number => process.pid ?? 0;
  const isStopping = (): boolean => stopRequest.signal.aborted;

  const adopt = (next: ChildProcess): void => {
    child = next;
    // A server that comes and goes must not leave a listener behind each time.
    if (!process.listeners('exit').includes(endChildren)) process.once('exit', endChildren);
    endAtExit.set(next, options.stopSignal);
  };

  const keepRunning = async (): Promise<void> => {
    let backoffMs = BACKOFF_MS_MIN;
    while (!isStopping()) {
      const sinceMs = performance.now();
      const way = await whenEnded(child);
      endAtExit.delete(child);
      if (isStopping() || !options.isRestarted) return;
      if (performance.now() - sinceMs > STEADY_MS) backoffMs = BACKOFF_MS_MIN;
      const why = (await options.explainDeath?.(pidOf(child))) ?? '';
      let reason = why === '' ? way : `${way}: ${why}`;
      options.onEvent?.({ kind: 'died', reason, restartInMs: backoffMs });
      for (;;) {
        await delay(backoffMs, undefined, { signal: stopRequest.signal }).catch(() => undefined);
        if (isStopping()) return;
        backoffMs = Math.min(backoffMs * 2, BACKOFF_MS_MAX);
        try {
          adopt(await options.launch());
          options.onEvent?.({ kind: 'restarted', pid: pidOf(child) });
          break;
        } catch (error) {
          reason = error instanceof Error ? error.message : String(error);
          if (!isStopping()) options.onEvent?.({ kind: 'restart-failed', reason, restartInMs: backoffMs });
        }
      }
    }
  };

  adopt(child);
  options.onEvent?.({ kind: 'started', pid: pidOf(child) });
  const kept = keepRunning();

  return {
    get pid() {
      return pidOf(child);
    },
    stop() {
      stopping ??= (async () => {
        stopRequest.abort();
        if (!hasEnded(child)) await endChild(child, options.stopSignal, options.stopTimeoutMs);
        await kept;
        // A restart that was under way when the stop came has brought up one more process.
        if (!hasEnded(child)) await endChild(child, options.stopSignal, options.stopTimeoutMs);
        endAtExit.delete(child);
        if (endAtExit.size === 0) process.removeListener('exit', endChildren);
      })();
      return stopping;
    },
  };
}
