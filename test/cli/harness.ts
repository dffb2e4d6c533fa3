import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject, onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Settings of the machine that runs the tests must not reach the program under test. */
const BASE_ENV = { PATH: process.env['PATH'], HOME: process.env['HOME'] };

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly finished: Promise<Finished>;
  /** Everything on stdout up to now. */
  stdout(): string;
  /** Resolves with the first match on stdout; rejects with the output when the command ends first. */
  saw(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
}

/** A data folder of this test's own. */
export function dataFolder(): string {
  return mkdtempSync(join(inject('waxwingRunFolder'), 'cli-'));
}

/** Starts `waxwing <args>` as a person would; ended by its id when the test is over. */
export function waxwing(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
  const child = spawn(process.execPath, ['--import', 'tsx', join(root, 'src/cli/main.ts'), ...args], {
    cwd: root,
    env: { ...BASE_ENV, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
    for (const listener of listeners) listener();
  });
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  onTestFinished(async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
    await finished;
    clearTimeout(timer);
  });
  const saw = (pattern: RegExp, timeoutMs = 30_000) =>
    new Promise<RegExpExecArray>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${why}: ${String(pattern)}\n${stdout}\n${stderr}`));
      const timer = setTimeout(() => fail('not seen in time'), timeoutMs);
      const look = () => {
        const found = pattern.exec(stdout);
        if (found === null) return;
        clearTimeout(timer);
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
      void finished.then(() => fail('the command ended before it was seen'));
    });
  return { child, finished, stdout: () => stdout, saw };
}

export async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Finished> {
  return await waxwing(args, env).finished;
}
