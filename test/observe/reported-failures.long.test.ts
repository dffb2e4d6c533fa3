import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { ALERT_RULES } from '../../src/observe/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { sql } from '../support/postgres.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/*
 * Most failures are told by a status, minutes after WhatsApp took the message. The whole program, its own rules; what
 * must last for a minute lasts for a quarter of a second here.
 */

const NAME = 'waxwing_messages_total';
let emulator: Emulator;
let program: Program;
let databaseUrl: string;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  databaseUrl = database.url;
  const statuses = { sentDelayMs: 5, deliveredDelayMs: 10, readDelayMs: 10, jitterMs: 5 };
  emulator = await startEmulator({ appSecret: 'app-secret', settings: { statuses } });
  const settings = programSettings(
    { redis, database, emulator },
    { TENANT_CONCURRENCY: '100', SENDER_CONCURRENCY: '100', QUEUE_RETRY_ATTEMPTS: '1' },
  );
  const rules = ALERT_RULES.map((rule) => ({ ...rule, forSeconds: Math.min(rule.forSeconds, 0.25) }));
  program = await runProgram(settings, 'all', { alerts: { rules, everyMs: 100 } });
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
});
afterAll(async () => {
  await program.stop();
  await emulator.stop();
});

async function call(path: string, body?: unknown): Promise<Response> {
  const response = await callProgram(program, path, body);
  expect(response.status).toBeLessThan(300);
  return response;
}

let n = 0;
async function send(count: number, text: string): Promise<void> {
  const messages = Array.from({ length: count }, () => {
    n += 1;
    return { to: `+4477009${String(n).padStart(5, '0')}`, conversation: `c${n}`, type: 'text', text: { body: text } };
  });
  await call('/v1/messages/batch', { messages });
}

/** What Prometheus reads; fails when a counter has become less than it was. */
let before: Record<string, number> = {};
async function ended(): Promise<Record<string, number>> {
  const text = await (await call('/metrics')).text();
  expect(text).toContain(`# TYPE ${NAME} counter`);
  const found = text.matchAll(new RegExp(`^${NAME}\\{state="(\\w+)"\\} (\\d+)$`, 'gm'));
  const now: Record<string, number> = {};
  for (const [, state = '', value] of found) now[state] = Number(value);
  for (const [state, value] of Object.entries(before)) expect(now[state], state).toBeGreaterThanOrEqual(value);
  before = now;
  return now;
}
const reach = (wanted: Record<string, number>) =>
  eventually(
    async () => {
      const now = await ended();
      return Object.entries(wanted).every(([state, value]) => now[state] === value) && now;
    },
    { timeoutMs: 15_000, what: JSON.stringify(wanted) },
  );
async function alertsFiring(): Promise<string[]> {
  const { items } = (await (await call('/admin/alerts')).json()) as { items: { alert: string; state: string }[] };
  return items.filter(({ state }) => state === 'firing').map(({ alert }) => alert);
}

test('S13, F7, Q10 · failures that statuses report raise the alerts of failures, and no redrive lowers a counter', async () => {
  await reach({ sent: 0, undelivered: 0 });
  emulator.addRule({ id: 'lost', match: { textIncludes: 'lost' }, action: { kind: 'fail-later', code: 131026 } });
  emulator.addRule({ match: { textIncludes: 'withheld' }, action: { kind: 'fail-later', code: 131049 } });
  emulator.addRule({ id: 'refused', match: { textIncludes: 'refused' }, action: { kind: 'error', code: 131009 } });
  await send(30, 'fine');
  await send(30, 'lost');
  await reach({ sent: 60, failed: 0, undelivered: 30 });
  await eventually(async () =>
    expect(await alertsFiring()).toEqual(expect.arrayContaining(['failed-share', 'failure-rate', 'dead-letters'])),
  );
  const health = await (await call('/api/webhooks/whatsapp/health')).json();
  expect(health).toMatchObject({ errorRate: { failed: 30, completed: 60, share: 0.5 } });
  await send(1, 'withheld');
  await send(2, 'refused');
  await reach({ sent: 61, failed: 2 });
  // Both kinds come back, and end well this time.
  emulator.removeRule('lost');
  emulator.removeRule('refused');
  await eventually(async () => (await program.record.deadLetters.count({})) === 32);
  for (const code of ['131026', '131009']) {
    await call('/admin/dead-letters/redrive', { filter: { code }, dryRun: false });
  }
  const last = await reach({ sent: 93, failed: 2 });
  // 131049 goes again after its day: it has not failed for good.
  expect(last).toMatchObject({ accepted: 63, undelivered: 30, cancelled: 0, expired: 0 });
  await eventually(async () => (await program.queue.counters()).deferred === 1, { timeoutMs: 15_000 });
  expect(await program.queue.counters()).toMatchObject({ accepted: 63, failed: 0, sent: 62 });
  expect(await ended()).toMatchObject({ sent: 93, undelivered: 30 });
});

test('F7, Q10 · a reported failure that expires before its retry is counted as undelivered, once', async () => {
  const { undelivered = 0 } = await ended();
  await program.failures.worker.stop();
  await send(1, 'withheld too long');
  const [reported] = await eventually(async () => {
    const found = await program.record.failures.reported(10);
    return found.length > 0 && found;
  });
  expect(reported).toMatchObject({ status: 'PENDING', errorCode: '131049' });
  const id = reported?.id ?? '';
  await sql(databaseUrl, "update messages set expires_at = now() - interval '1 second' where id = $1", [id]);
  await Promise.all([program.failures.worker.takeReported(), program.failures.worker.takeReported()]);
  await reach({ undelivered: undelivered + 1 });
  expect(await program.failures.deadLetters.get(id)).toMatchObject({ letter: { code: '131049' } });
  await program.failures.worker.takeReported();
  expect(await ended()).toMatchObject({ undelivered: undelivered + 1 });
});
