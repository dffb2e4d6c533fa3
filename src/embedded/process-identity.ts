import { execFileSync } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * A process that cannot be mistaken for a later one with the same number: process ids are reused, in containers
 * within minutes, so a pid alone proves nothing.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the words of the operating system, with the boot it belongs to; only for comparison. */
  readonly startedAt: string;
}

const LINUX = process.platform === 'linux';

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function startOf(pid: number): string | undefined {
  if (LINUX) {
    const stat = textOf(`/proc/${pid}/stat`);
    // The second field is the name in brackets, which may itself hold blanks and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    const startTicks = fields[19];
    // A zombie has ended; only its parent has not looked yet.
    if (startTicks === undefined || state === 'Z' || state === 'X') return undefined;
    return `${textOf('/proc/sys/kernel/random/boot_id').trim()}:${startTicks}`;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined;
  }
  if (process.platform === 'win32') return 'unknown';
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

/** The identity of a running process, or undefined when there is none with this id (a zombie counts as none). */
export function identify(pid: number): ProcessIdentity | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Is this very process, and not a later one with its number, still running. */
export function isRunning(identity: ProcessIdentity): boolean {
  return startOf(identity.pid) === identity.startedAt;
}

/** The command line of a process with its arguments joined by blanks; empty when it cannot be read. */
export function commandLine(pid: number): string {
  if (LINUX) return textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  if (process.platform === 'win32') return '';
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  } catch {
    return '';
  }
}

/** The folder in which a process works; undefined when the system does not tell or does not let us see. */
export function workingFolder(pid: number): string | undefined {
  if (!LINUX) return undefined;
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

/** Is this text shaped like a stored identity. */
export function isIdentity(value: unknown): value is ProcessIdentity {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, startedAt } = value as Record<string, unknown>;
  return typeof pid === 'number' && typeof startedAt === 'string';
}

/** Waits until this very process has ended; false when it still runs after `timeoutMs`. */
export async function waitForEnd(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + timeoutMs;
  // The process may be somebody else's child, and the system offers no event for those: 10 ms is unnoticed by people.
  while (isRunning(identity)) {
    if (performance.now() > deadlineMs) return false;
    await delay(10);
  }
  return true;
}

/**
 * Ends one process by its identity: `signal` first, SIGKILL after `timeoutMs`. Returns when it is gone.
 * A process that has ended already, or whose number now belongs to another, is left alone.
 */
export async function endProcess(identity: ProcessIdentity, signal: NodeJS.Signals, timeoutMs: number): Promise<void> {
  for (const [name, waitMs] of [
    [signal, timeoutMs],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!isRunning(identity)) return;
    try {
      process.kill(identity.pid, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
      throw error;
    }
    if (await waitForEnd(identity, waitMs)) return;
  }
}
