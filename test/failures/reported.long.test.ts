import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type CommandDef, runCommand } from 'citty';
import { deadLetters } from '../../src/cli/commands/dead-letters.ts';
import { failures } from '../../src/cli/commands/failures.ts';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import { signJwt } from '../../src/http/index.ts';
import type { FailureRecord } from '../../src/record/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { sql } from '../support/postgres.ts';
import { callProgram, programSettings, runProgram, type Settings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/*
 * The slow path with the provider's statuses: what a webhook reports, what the audit repairs, what is overdue, and what
 * an operator sees of it on the command line and in the alerts. The whole program, with its audit every half second.
 */

const HOUR_MS = 3_600_000;
const PREFIX = shardPrefix(0);
let emulator: Emulator;
let program: Program;
let settings: Record<string, string>;
let url: string;
let n = 0;
const phone = () => `+44794609${String((n += 1)).padStart(4, '0')}`;

beforeAll(async () => {
  emulator = await startEmulator({
    appSecret: 'app-secret',
    settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 10, readDelayMs: 10, jitterMs: 5 } },
  });
  settings = await settingsOf();
  program = await runProgram(settings);
  url = program.server?.url ?? '';
  emulator.patch({ webhook: { url: `${url}/webhooks/whatsapp/cloud` } });
});
afterAll(async () => {
  await program.stop();
  await emulator.stop();
});

async function settingsOf(more: Settings = {}): Promise<Settings> {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  return programSettings(
    { redis, database, emulator },
    {
      QUEUE_RETRY_ATTEMPTS: '1',
      RETRY_SCHEDULE_SECONDS: '3600,3600',
      WHATSAPP_RETRY_INTERVAL_MS: '500',
      STATUS_WATCHDOG_SECONDS: '1',
      CIRCUIT_BREAKER_THRESHOLD: '1000',
      TENANT_CONCURRENCY: '20',
      ...more,
    },
  );
}

async function call(path: string, body?: unknown, to = program): Promise<Record<string, unknown>> {
  const response = await callProgram(to, path, body);
  return (await response.json()) as Record<string, unknown>;
}
const TEXT = { type: 'text', text: { body: 'Your table' } };
async function send(to: string, content: Record<string, unknown> = TEXT, by = program): Promise<string> {
  return String((await call('/v1/messages', { tenant: 'salon1', to, ...content }, by))['id']);
}
/** An audit waits for the recorder, and nothing is taken in meanwhile: on a busy machine that takes its time. */
const failureOf = (id: string, wanted: (row: FailureRecord) => boolean = () => true) =>
  eventually(
    async () => {
      const row = await program.record.failures.get(id);
      return row !== null && wanted(row) ? row : undefined;
    },
    { timeoutMs: 15_000 },
  );
const callsOf = (id: string) => emulator.ledger().filter(({ tag }) => tag?.includes(id) === true);
const deferred = async (to = phone()) => {
  emulator.addRule({ match: { recipient: to }, action: { kind: 'error', code: 131000 }, times: 1 });
  const id = await send(to);
  await failureOf(id);
  return id;
};
/** Time passes for one message: its timer is due. */
const makeDue = (id: string) => program.queue.runner.client.zadd(`${PREFIX}tm`, Date.now() - 1000, `d:${id}`);

describe('A failure that a status reports', () => {
  it('F5 · 131049 goes again after 24 hours and not before, once; then it is a dead letter', async () => {
    const to = phone();
    emulator.addRule({ match: { recipient: to }, action: { kind: 'fail-later', code: 131049 }, times: 2 });
    const id = await send(to);
    const row = await failureOf(id, ({ metadata }) => metadata['waitsFor'] === 'report');
    expect(row).toMatchObject({ status: 'PENDING', errorCode: '131049', metadata: { laterRetries: 1 } });
    const inMs = (row.nextRetryAtMs ?? 0) - Date.now();
    expect(inMs).toBeGreaterThan(23.9 * HOUR_MS);
    expect(inMs).toBeLessThanOrEqual(24 * HOUR_MS);
    expect(await call(`/v1/messages/${id}`)).toMatchObject({ status: 'deferred', hold: { kind: 'retry' } });
    // Nobody cuts the pause short.
    expect(await program.failures.retryNow(id)).toBe(false);
    expect((await program.record.failures.due(1000)).map((due) => due.id)).not.toContain(id);
    // Nor a list that was read before the pause was asked for.
    vi.spyOn(program.record.failures, 'due').mockResolvedValueOnce([{ id, attemptCount: row.attemptCount }]);
    expect(await program.failures.retryFailedMessages(10, 1)).toMatchObject({ total: 0 });
    expect(callsOf(id)).toHaveLength(1);
    await makeDue(id);
    await failureOf(id, ({ status }) => status === 'FAILED');
    expect(callsOf(id)).toHaveLength(2);
    expect(await program.failures.deadLetters.get(id)).toMatchObject({ letter: { code: '131049' } });
  });

  it.each([
    ['131047', 'text', 5 * 60_000],
    ['131053', 'link', 15 * 60_000],
  ])('F5 · %s of a %s goes again after its own pause, and is RESOLVED', async (code, kind, waitMs) => {
    const to = phone();
    emulator.addRule({ match: { recipient: to }, action: { kind: 'fail-later', code: Number(code) }, times: 1 });
    const image = { type: 'image', image: { link: 'https://example.com/menu.png' } };
    const id = await (kind === 'link' ? send(to, image) : send(to));
    const row = await failureOf(id, ({ metadata }) => metadata['waitsFor'] === 'report');
    expect(Math.abs((row.nextRetryAtMs ?? 0) - Date.now() - waitMs)).toBeLessThan(10_000);
    await makeDue(id);
    expect(await failureOf(id, ({ status }) => status === 'RESOLVED')).toMatchObject({ attemptCount: 2 });
    const read = await eventually(async () => {
      const message = await call(`/v1/messages/${id}`);
      return message['status'] === 'read' && message;
    });
    expect(read).toMatchObject({ attempts: 2 });
  });

  it('F5 · 131026, and 131053 of a text, are final at once', async () => {
    for (const code of [131026, 131053]) {
      const to = phone();
      emulator.addRule({ match: { recipient: to }, action: { kind: 'fail-later', code } });
      const id = await send(to);
      await failureOf(id, ({ status }) => status === 'FAILED');
      expect(await program.failures.deadLetters.get(id)).toMatchObject({ letter: { code: String(code) } });
    }
  });
});

describe('The audit, every WHATSAPP_RETRY_INTERVAL_MS', () => {
  it('F6 · brings back a retry that the queue has lost, at its time', async () => {
    const id = await deferred();
    const redis = program.queue.runner.client;
    await redis.hdel(`${PREFIX}sch`, id);
    await redis.zrem(`${PREFIX}tm`, `d:${id}`);
    await eventually(async () => (await redis.zscore(`${PREFIX}tm`, `d:${id}`)) !== null, { timeoutMs: 15_000 });
    const dueInMs = Number(await redis.zscore(`${PREFIX}tm`, `d:${id}`)) - Date.now();
    expect(Math.abs(dueInMs - HOUR_MS)).toBeLessThan(30_000);
    const redriven = await eventually(async () => {
      const { items } = await program.accepting.messages.timeline(id, { kind: 'platform' });
      return items.find(({ event }) => event === 'redriven');
    });
    expect(redriven.detail).toMatchObject({ cause: 'repair', by: 'waxwing' });
    await makeDue(id);
    expect(await failureOf(id, ({ status }) => status === 'RESOLVED')).toMatchObject({ attemptCount: 2 });
    expect(callsOf(id).filter(({ taken }) => taken)).toHaveLength(1);
  });

  it('F6 · lets go what the record knows to be sent, and corrects a wrong time', async () => {
    const [sent, wrong] = [await deferred(), await deferred()];
    const before = await failureOf(wrong);
    const database = settings['DATABASE_URL'] ?? '';
    await sql(database, `update messages set engine_status = 'sent', delivery_status = 'delivered' where id = $1`, [
      sent,
    ]);
    await sql(database, `update whatsapp_delivery_failures set status = 'RESOLVED' where id = $1`, [sent]);
    await sql(database, `update whatsapp_delivery_failures set next_retry_at = now() where id = $1`, [wrong]);
    const redis = program.queue.runner.client;
    await eventually(async () => (await redis.zscore(`${PREFIX}tm`, `d:${sent}`)) === null, { timeoutMs: 10_000 });
    const corrected = await failureOf(wrong, ({ nextRetryAtMs }) => (nextRetryAtMs ?? 0) > Date.now() + HOUR_MS / 2);
    expect(Math.abs((corrected.nextRetryAtMs ?? 0) - (before.nextRetryAtMs ?? 0))).toBeLessThan(60_000);
    expect(callsOf(sent)).toHaveLength(1);
  });

  it('F6 · leaves a message that waits at its place (ON_DEFER=block) where it is, and what follows behind it', async () => {
    const of = await settingsOf({ ON_DEFER: 'block', WHATSAPP_RETRY_INTERVAL_MS: '60000' });
    const blocking = await runProgram(of);
    try {
      const to = phone();
      emulator.addRule({ match: { recipient: to }, action: { kind: 'error', code: 131000 }, times: 1 });
      const first = await send(to, TEXT, blocking);
      await eventually(async () => (await blocking.record.failures.get(first)) !== null);
      const second = await send(to, TEXT, blocking);
      // The audit leaves alone what has just changed.
      const database = of['DATABASE_URL'] ?? '';
      await sql(database, `update whatsapp_delivery_failures set updated_at = now() - interval '1 minute'`);
      const report = await blocking.failures.worker.audit();
      expect(report).toEqual({ returned: 0, letGo: 0, timesCorrected: 0, compared: true });
      expect(await blocking.failures.retryNow(first)).toBe(true);
      await eventually(() => callsOf(second).some(({ taken }) => taken));
      const order = emulator.ledger().filter(({ taken, recipient }) => taken && to.endsWith(recipient));
      expect(order.map(({ tag }) => (tag?.includes(first) === true ? 'first' : 'second'))).toEqual(['first', 'second']);
    } finally {
      await blocking.stop();
    }
  });
});

describe('The status watchdog', () => {
  it('shows, filters and counts a message that was sent and of which no status came, and sends nothing again', async () => {
    const to = phone();
    emulator.addRule({ match: { recipient: to }, action: { kind: 'no-status' } });
    const [silent, told] = [await send(to), await send(phone())];
    await eventually(async () => (await call(`/v1/messages/${told}`))['status'] === 'read');
    const overdue = await eventually(async () => {
      const { items } = (await call('/v1/messages?statusOverdue=true')) as { items: { id: string }[] };
      return items.length > 0 && items;
    });
    expect(overdue.map(({ id }) => id)).toEqual([silent]);
    expect(await call(`/v1/messages/${silent}`)).toMatchObject({ status: 'sent', statusOverdue: true });
    expect(await call(`/v1/messages/${told}`)).toMatchObject({ statusOverdue: false });
    expect(await call('/admin/failures/summary')).toMatchObject({ overdueStatuses: 1 });
    expect(callsOf(silent)).toHaveLength(1);
  });
});

describe('The command line', () => {
  /** In this process: a program that starts for each command would take most of the test's time. */
  const waxwing = async (command: CommandDef, ...rawArgs: string[]) => {
    const lines: string[] = [];
    const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
    for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
    vi.stubEnv('PORT', new URL(url).port);
    try {
      await runCommand(command, { rawArgs });
    } finally {
      log.mockRestore();
      vi.unstubAllEnvs();
    }
    return lines.join('\n');
  };

  it('lists, explains, tries and redrives dead letters, and says what it did', async () => {
    const to = phone();
    emulator.addRule({ id: 'refuse', match: { recipient: to }, action: { kind: 'error', code: 131009 } });
    const id = await send(to);
    await failureOf(id, ({ status }) => status === 'FAILED');
    emulator.removeRule('refuse');
    expect(await waxwing(failures, 'list', '--code', '131009')).toMatch(new RegExp(`${id} +FAILED +131009`));
    expect(await waxwing(deadLetters, 'list', '--code', '131009')).toMatch(new RegExp(`${id} +131009`));
    expect(await waxwing(deadLetters, 'list', '--code', '1')).toBe('No dead letters.');
    expect(await waxwing(deadLetters, 'show', id)).toMatch(/rejected/);
    await expect(waxwing(deadLetters, 'redrive')).rejects.toThrow(/Give an id, a filter/);
    const dry = await waxwing(deadLetters, 'redrive', '--code', '131009');
    expect(dry).toMatch(/would[\s\S]*1 of 1 would be redriven\.[\s\S]*Nothing was done/);
    expect(callsOf(id)).toHaveLength(1);
    expect(await waxwing(deadLetters, 'redrive', id, '--yes')).toMatch(/1 of 1 was redriven\./);
    await failureOf(id, ({ status }) => status === 'RESOLVED');
    await expect(waxwing(deadLetters, 'redrive', id, '--yes')).rejects.toThrow(/CONFLICT/);
  });
});

describe('Bull Board', () => {
  it('Q8 · Retry redrives a dead letter, Promote starts a slow retry now, and what is on its way is 409', async () => {
    const jwt = { secret: program.keys.jwtSecret, audience: undefined, issuer: undefined };
    const authorization = `Bearer ${await signJwt({ role: 'operator', name: 'ada' }, jwt)}`;
    const press = async (id: string, button: string) => {
      const path = `/admin/queues/api/queues/whatsapp-send/${id}/${button}`;
      return (await fetch(`${url}${path}`, { method: 'PUT', headers: { authorization } })).status;
    };
    const to = phone();
    emulator.addRule({ match: { recipient: to }, action: { kind: 'error', code: 131009 }, times: 1 });
    const dead = await send(to);
    await failureOf(dead, ({ status }) => status === 'FAILED');
    expect(await press(dead, 'retry')).toBe(204);
    await failureOf(dead, ({ status }) => status === 'RESOLVED');
    expect(await press(dead, 'retry')).toBe(409);
    const waiting = await deferred();
    expect(await press(waiting, 'promote')).toBe(204);
    await failureOf(waiting, ({ status }) => status === 'RESOLVED');
    expect(await press(waiting, 'promote')).toBe(409);
  });
});

describe('What is told of it', () => {
  it('F7 · getStats() and GET /api/v1/queues/stats count throttling, failures and the queue alike', async () => {
    const stats = await program.throttled.getStats();
    expect(stats.deliveryFailures.pending).toBeGreaterThan(0);
    expect(stats).toEqual({
      throttling: { activeRateLimits: expect.any(Number) as number },
      deliveryFailures: await program.record.failures.counts(),
      queue: stats.queue,
    });
    const told = await call('/api/v1/queues/stats');
    expect(told).toMatchObject(stats);
  });

  it('F7 · alerts tell of more than 100 pending, more than 10 permanent ones, and a retry worker that was stopped', async () => {
    emulator.addRule({ id: 'down', match: { textIncludes: 'later' }, action: { kind: 'error', code: 131000 } });
    emulator.addRule({ id: 'wrong', match: { textIncludes: 'never' }, action: { kind: 'error', code: 131026 } });
    const words = [...Array.from({ length: 101 }, () => 'later'), ...Array.from({ length: 11 }, () => 'never')];
    await Promise.all(words.map((body) => send(phone(), { type: 'text', text: { body } })));
    await program.failures.whatsappRetryWorker.stop();
    const stateOf = async () => {
      const { items } = (await call('/admin/alerts')) as { items: { alert: string; state: string; value: number }[] };
      return Object.fromEntries(items.map(({ alert, state }) => [alert, state]));
    };
    await eventually(
      async () => {
        const states = await stateOf();
        return states['failures-pending'] === 'firing' && states['failures-permanent'] === 'firing';
      },
      { timeoutMs: 30_000 },
    );
    // It fires after a minute.
    await eventually(async () => (await stateOf())['retry-worker-stopped'] === 'pending', { timeoutMs: 10_000 });
    expect((await stateOf())['no-status']).toBe('firing');
    program.failures.whatsappRetryWorker.start();
    await eventually(async () => (await stateOf())['retry-worker-stopped'] === undefined, { timeoutMs: 15_000 });
  }, 70_000);
});
