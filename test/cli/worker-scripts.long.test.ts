import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, utimesSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* The worker as the package scripts start it, beside a web process of this one. */

const ROOT = new URL('../../', import.meta.url);
const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const PERSON = '+447700900123';

let emulator: Emulator;
let web: Program;
let settings: Readonly<Record<string, string>>;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  settings = programSettings({ redis, database, emulator }, { LOG_LEVEL: 'info' });
  web = await runProgram(settings, 'web');
});
afterAll(async () => {
  await web.stop();
  await emulator.stop();
});

/** Runs what `npm run <name>` runs; whatever is left of it when the test is over is ended. */
function start(name: string): { readonly child: ChildProcess; readonly stdout: () => string } {
  const [, ...words] = (scripts[name] ?? '').split(' ');
  const child = spawn(process.execPath, words, {
    ...{ cwd: fileURLToPath(ROOT), stdio: ['ignore', 'pipe', 'pipe'] as const },
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...settings },
    // A group of its own, so that all of it can be ended by its id.
    detached: true,
  });
  let stdout = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  onTestFinished(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // All of it has ended.
    }
  });
  return { child, stdout: () => stdout };
}

const accept = async (words: string) => {
  const body = { to: PERSON, type: 'text', text: { body: words } };
  return ((await (await callProgram(web, '/v1/messages', body)).json()) as { id: string }).id;
};
const statusOf = async (id: string) =>
  ((await (await callProgram(web, `/v1/messages/${id}`)).json()) as { status: string }).status;
const readies = (text: string) => text.split('ready (worker)').length - 1;

describe('S10 · the worker process', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'of worker:send at %s takes no more, finishes what is in flight, and ends with 0',
    async (signal) => {
      const { child, stdout } = start('worker:send');
      await eventually(() => readies(stdout()) === 1, { timeoutMs: 60_000, what: 'worker:send' });
      const before = await accept('before');
      await eventually(async () => (await statusOf(before)) === 'sent');

      const rule = emulator.addRule({ match: { recipient: PERSON }, action: { kind: 'slow', delayMs: 1500 } });
      const attempts = emulator.ledger().length;
      const inFlight = await accept('in flight');
      const behind = await accept('behind it');
      await eventually(() => emulator.ledger().length === attempts + 1);
      const ended = once(child, 'exit');
      child.kill(signal);
      expect(await ended).toEqual([0, null]);
      await eventually(async () => (await statusOf(inFlight)) === 'sent');
      expect(await statusOf(behind)).toBe('queued');
      expect(emulator.ledger()).toHaveLength(attempts + 1);
      emulator.removeRule(rule.id);
    },
  );

  it('of worker:send:dev starts again when a file changes, sends, and ends at SIGTERM', async () => {
    const { child, stdout } = start('worker:send:dev');
    await eventually(() => readies(stdout()) === 1, { timeoutMs: 60_000, what: 'worker:send:dev' });
    utimesSync(new URL('src/cli/main.ts', ROOT), new Date(), new Date());
    await eventually(() => readies(stdout()) === 2, { timeoutMs: 60_000, what: 'the second start' });
    const id = await accept('after the change');
    await eventually(async () => (await statusOf(id)) === 'sent');
    // Closed when all that wrote there has ended: the watcher and the worker under it.
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  });
});
