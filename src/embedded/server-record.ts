import type { ChildProcess } from 'node:child_process';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identify, isIdentity, type ProcessIdentity } from './process-identity.ts';
import { endChild } from './supervised-child.ts';

/** What is remembered about a running server, so that the next start can end what a killed owner left behind. */
export interface ServerRecord {
  readonly process: ProcessIdentity;
  /** The loopback port; taken again at the next start when it is free. */
  readonly port: number;
}

/** Reads a record; undefined when there is none or it cannot be understood (a half-written one blocks nothing). */
export function readServerRecord(path: string): ServerRecord | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as { process?: unknown; port?: unknown };
    if (!isIdentity(value.process) || typeof value.port !== 'number') return undefined;
    return { process: value.process, port: value.port };
  } catch {
    return undefined;
  }
}

/** Remembers a process that was just started. Does nothing when it has ended already. */
function writeServerRecord(path: string, pid: number | undefined, port: number): void {
  const process = pid === undefined ? undefined : identify(pid);
  if (process === undefined) return;
  writeFileSync(`${path}.new`, JSON.stringify({ process, port } satisfies ServerRecord), { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/**
 * Remembers a child that was just started, so that no running server is ever unknown. One that cannot be remembered is
 * ended: the next start would not find it. (A Redis that waits for its settings would, when its owner is gone, run
 * without any: on every address, without a password, on the port that everybody knows.)
 * @throws when the record cannot be written, as on a full disk; the child has ended then
 */
export async function rememberChild(path: string, child: ChildProcess, port: number): Promise<void> {
  try {
    writeServerRecord(path, child.pid, port);
  } catch (error) {
    await endChild(child, 'SIGKILL', 1_000);
    throw error;
  }
}

/** Forgets the record. */
export function removeServerRecord(path: string): void {
  rmSync(path, { force: true });
}
