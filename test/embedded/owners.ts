import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { startEmbedded } from '../../src/embedded/index.ts';
import { endProcess, identify } from '../../src/embedded/process-identity.ts';

export interface OwnerAnswer {
  readonly redisUrl?: string;
  readonly databaseUrl?: string;
  readonly pids?: { readonly redis?: number; readonly postgres?: number };
  readonly error?: string;
}

export interface Owner {
  readonly child: ChildProcess;
  readonly answer: OwnerAnswer;
  /** All that it wrote to stderr so far. */
  log(): string;
  /** Sends the signal and waits for its end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

async function endOwner(child: ChildProcess, answer: OwnerAnswer): Promise<void> {
  const owner = child.pid === undefined ? undefined : identify(child.pid);
  if (owner !== undefined && child.exitCode === null) await endProcess(owner, 'SIGTERM', 10_000);
  for (const pid of Object.values(answer.pids ?? {})) {
    const server = identify(pid);
    if (server !== undefined) await endProcess(server, 'SIGINT', 5_000);
  }
}

/** A data folder (not made yet) under a folder of mode 0700, removed after the test. */
export function dataFolder(): string {
  const parent = mkdtempSync(join(inject('waxwingRunFolder'), 'embedded-'));
  onTestFinished(() => {
    rmSync(parent, { recursive: true, force: true });
  });
  return join(parent, '.waxwing');
}

let prepared: Promise<string> | undefined;

/** A data folder that has been used before, with a database in it: copied from one that is made once. */
export async function usedDataFolder(): Promise<string> {
  prepared ??= (async () => {
    const dataDir = join(mkdtempSync(join(inject('waxwingRunFolder'), 'prepared-')), '.waxwing');
    const services = await startEmbedded({ dataDir, redis: true, postgres: true });
    await services.stop();
    return dataDir;
  })();
  const dataDir = dataFolder();
  execFileSync('cp', ['-a', await prepared, dataDir]);
  return dataDir;
}

/** Starts a program on the data folder and waits for its first line. */
export async function startOwner(
  dataDir: string,
  which: 'both' | 'redis' | 'postgres' = 'redis',
  ending: 'wait' | 'exit' = 'wait',
): Promise<Owner> {
  const program = new URL('owner.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, ['--import', 'tsx', program, dataDir, which, ending], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  const [line] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(() => [JSON.stringify({ error: `it ended without a word: ${log}` })]),
  ])) as [string];
  const answer = JSON.parse(line) as OwnerAnswer;
  onTestFinished(() => endOwner(child, answer));
  return {
    child,
    answer,
    log: () => log,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
  };
}
