import { readdirSync, realpathSync } from 'node:fs';
import { commandLine, endProcess, identify, workingFolder, type ProcessIdentity } from './process-identity.ts';

export interface LeftoverOptions {
  /** The data folder of the server; both servers work in it as their current folder. */
  readonly folder: string;
  /** What the command line of such a server looks like. */
  readonly looksLike: RegExp;
  /** Processes that we started and remembered: ours, wherever they work. */
  readonly remembered: readonly ProcessIdentity[];
  /** Processes that a file in the folder names: ours only if they work in the folder. */
  readonly named?: readonly ProcessIdentity[];
  /** Is every process looked at that works in the folder (Linux). Default false. */
  readonly isScanned?: boolean;
  /** The signal for an orderly end. */
  readonly signal: NodeJS.Signals;
  readonly onFound?: (pid: number) => void;
}

function runningProcesses(): ProcessIdentity[] {
  if (process.platform !== 'linux') return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => identify(Number(name)))
    .filter((identity) => identity !== undefined);
}

function realFolder(folder: string): string | undefined {
  try {
    return realpathSync(folder);
  } catch {
    return undefined;
  }
}

/**
 * Ends servers that a killed owner left running on this data folder. Only the holder of the folder's lock may call
 * it. A process is ours when it is exactly the remembered one, or works in the folder (so that one is found whose
 * owner died before it could write a record), and its command line is that of such a server; no other is touched.
 */
export async function endLeftovers(options: LeftoverOptions): Promise<void> {
  const real = realFolder(options.folder);
  if (real === undefined) return;
  const inFolder = [...(options.named ?? []), ...(options.isScanned ? runningProcesses() : [])].filter(
    ({ pid }) => workingFolder(pid) === real,
  );
  const candidates = new Map([...options.remembered, ...inFolder].map((identity) => [identity.pid, identity]));
  for (const identity of candidates.values()) {
    if (identify(identity.pid)?.startedAt !== identity.startedAt) continue;
    if (!options.looksLike.test(commandLine(identity.pid))) continue;
    options.onFound?.(identity.pid);
    await endProcess(identity, options.signal, 10_000);
  }
}
