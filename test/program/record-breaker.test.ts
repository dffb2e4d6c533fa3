import { Writable } from 'node:stream';
import pino from 'pino';
import { afterEach, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { type Program, type Role, startProgram } from '../../src/program/start-program.ts';
import { dataFolder } from '../cli/harness.ts';
import { openGate, type Gate } from '../record/support/gate.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* The breaker `postgres` in the whole program: what callers, operators and probes of a platform see of it. */

const KEY = 'platform-key-of-these-tests';
const lines: { readonly breaker?: string; readonly level: number }[] = [];
let program: Program | undefined;
let gate: Gate | undefined;

afterEach(async () => {
  await program?.stop();
  await gate?.close();
});

/** A program whose PostgreSQL stands behind a gate; where it answers. */
async function start(role: Role, more: { readonly isAway?: boolean; readonly threshold?: number } = {}) {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  gate = await openGate(database.url);
  if (more.isAway === true) await gate.shut();
  const loaded = loadConfig(
    {
      ...{ REDIS_URL: `${redis.url}/1`, DATABASE_URL: gate.url, PORT: '0', WAXWING_API_KEY: KEY },
      ...{ METRICS_OPEN: 'true', WHATSAPP_PHONE_NUMBER_ID: '1', WHATSAPP_ACCESS_TOKEN: 'token' },
      WHATSAPP_API_URL: 'http://127.0.0.1:1',
      CIRCUIT_BREAKER_THRESHOLD: String(more.threshold ?? 5),
    },
    dataFolder(),
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as (typeof lines)[number]);
      done();
    },
  });
  program = await startProgram(loaded.config, role, pino({ level: 'info' }, out));
  const url = program.server?.url ?? '';
  return async (path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const post = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const answer = await fetch(`${url}${path}`, { headers, ...post });
    return { status: answer.status, text: await answer.text() };
  };
}

it('P4 · while PostgreSQL is away it is open, told and in no way of a send; it closes by itself soon after', async () => {
  const ask = await start('web');
  const isOpen = async () => (await ask('/metrics')).text.includes('waxwing_breaker_open{breaker="postgres"} 1');
  const message = { to: '+4915112345678', type: 'text', text: { body: 'hi' } };
  expect((await ask('/v1/messages', message)).status).toBe(202);
  expect((await ask('/v1/messages')).status).toBe(200);
  expect((await ask('/metrics')).text).toContain('waxwing_breaker_open{breaker="postgres"} 0');

  await gate?.shut();
  await eventually(async () => {
    const refused = await ask('/v1/messages');
    if (refused.status !== 503) return false;
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    return await isOpen();
  });
  expect((await ask('/ready')).status).toBe(503);
  expect((await ask('/v1/messages', message)).status).toBe(202);

  await gate?.open();
  await eventually(async () => (await ask('/v1/messages')).status === 200);
  expect((await ask('/ready')).status).toBe(200);
  await eventually(async () => !(await isOpen()));
  const told = lines.filter(({ breaker }) => breaker === 'postgres').map(({ level }) => level);
  // However many probes failed in between.
  expect(told).toEqual([pino.levels.values['warn'], pino.levels.values['info']]);
});

it('P4 · a program that starts without PostgreSQL comes to itself when it is there', async () => {
  const ask = await start('all', { isAway: true, threshold: 1 });
  expect((await ask('/ready')).status).toBe(503);
  await gate?.open();
  await eventually(async () => (await ask('/ready')).status === 200, { timeoutMs: 15_000 });
  await eventually(async () => (await ask('/v1/messages')).status === 200);
});
