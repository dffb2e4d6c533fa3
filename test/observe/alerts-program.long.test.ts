import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { signJwt } from '../../src/http/index.ts';
import { ALERT_RULES } from '../../src/observe/index.ts';
import type { Program, Role } from '../../src/program/start-program.ts';
import { programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis, type TestDatabase, type TestRedis } from '../support/services.ts';

/*
 * Every alert that a requirement names, from its cause to the person: the whole program, its own rules and thresholds,
 * a real cause, `/admin/alerts`, and a signed notice at the webhook. Only the times are shorter: what must last for
 * minutes lasts for a quarter of a second here, and the rules are looked at as often.
 */

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const EVERY_MS = 100;
const LASTS_SECONDS = 0.25;
const RULES = ALERT_RULES.map((rule) => ({ ...rule, forSeconds: Math.min(rule.forSeconds, LASTS_SECONDS) }));

interface Told {
  readonly alert: string;
  readonly state: string;
  readonly instance: string | null;
  readonly severity: string;
}

const told: Told[] = [];
const forged: unknown[] = [];
let receiver: Server;
let emulator: Emulator;
const programs: Program[] = [];

beforeAll(async () => {
  const webhook = new Webhook(SECRET);
  receiver = createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      try {
        const body = webhook.verify(Buffer.concat(chunks).toString('utf8'), request.headers as Record<string, string>);
        told.push(noticeOf(body));
      } catch (error) {
        forged.push(error);
      }
      response.writeHead(204).end();
    })();
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  emulator = await startEmulator();
});

afterAll(async () => {
  for (const program of programs) await program.stop();
  await emulator.stop();
  receiver.close();
});

function noticeOf(body: unknown): Told {
  const { data, type } = body as { readonly data: Told; readonly type: string };
  return { ...data, state: type };
}

interface Place {
  readonly program: Program;
  readonly redis: TestRedis;
  readonly database: TestDatabase;
}

async function start(role: Role, more: Record<string, string> = {}): Promise<Place> {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  const settings = programSettings(
    { redis, database, emulator },
    {
      SENDER_RATE_PER_SECOND: '1000',
      TENANT_CONCURRENCY: '100',
      SENDER_CONCURRENCY: '100',
      QUEUE_RETRY_ATTEMPTS: '1',
      CIRCUIT_BREAKER_TIMEOUT: '60000',
      ALERT_WEBHOOK_URL: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
      ALERT_WEBHOOK_SECRET: SECRET,
      ...more,
    },
  );
  const alerts = { rules: RULES, everyMs: EVERY_MS };
  const program = await runProgram(settings, role, { alerts });
  programs.push(program);
  told.length = 0;
  return { program, redis, database };
}

async function stop({ program }: Place): Promise<void> {
  programs.splice(programs.indexOf(program), 1);
  await program.stop();
}

const url = ({ program }: Place): string => program.server?.url ?? '';

async function send(place: Place, texts: readonly string[]): Promise<void> {
  for (let from = 0; from < texts.length; from += 1000) {
    const messages = texts.slice(from, from + 1000).map((body, n) => {
      const to = `+4477009${String(from + n).padStart(5, '0')}`;
      return { to, conversation: `c${from + n}`, type: 'text', text: { body } };
    });
    const response = await fetch(`${url(place)}/v1/messages/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${place.program.keys.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ messages }),
    });
    expect(response.status).toBe(200);
  }
}

async function administer(place: Place, method: 'GET' | 'POST', path: string): Promise<unknown> {
  const jwt = { secret: place.program.keys.jwtSecret, audience: undefined, issuer: undefined };
  const token = await signJwt({ role: 'admin', name: 'ada' }, jwt);
  const response = await fetch(`${url(place)}${path}`, { method, headers: { authorization: `Bearer ${token}` } });
  expect(response.status).toBeLessThan(300);
  return await response.json();
}

async function firing(place: Place): Promise<Map<string, { instance: string | null; advice: string }>> {
  const { items } = (await administer(place, 'GET', '/admin/alerts')) as {
    items: { alert: string; state: string; instance: string | null; advice: string }[];
  };
  return new Map(items.filter(({ state }) => state === 'firing').map((one) => [one.alert, one]));
}

/** Shown at /admin/alerts with what to do, and told to the webhook under a good signature. */
async function expectFiring(place: Place, ...rules: string[]): Promise<void> {
  await expectFiringWithin(15_000, place, rules);
}

async function expectFiringWithin(timeoutMs: number, place: Place, rules: string[]): Promise<void> {
  await eventually(
    async () => {
      const now = await firing(place);
      expect([...now.keys()]).toEqual(expect.arrayContaining(rules));
      for (const rule of rules) expect(now.get(rule)?.advice).toMatch(/\w/);
      expect(told.map(({ alert }) => alert)).toEqual(expect.arrayContaining(rules));
      return true;
    },
    { timeoutMs, what: `the alerts ${rules.join(', ')}` },
  );
  expect(forged).toEqual([]);
}

const texts = (count: number, text: string): string[] => Array.from({ length: count }, () => text);

describe('alerts of the whole program', () => {
  let place: Place;
  beforeAll(async () => {
    place = await start('all', {
      RETRY_SCHEDULE_SECONDS: '600',
      STATUS_WATCHDOG_SECONDS: '60',
      CACHE_SPIKE_THRESHOLD: '0.5',
    });
  });

  test('nothing is wrong in the beginning', async () => {
    await send(place, texts(5, 'fine'));
    await eventually(async () => expect(await place.program.queue.counters()).toMatchObject({ sent: 5 }));
    expect([...(await firing(place)).keys()]).toEqual([]);
    expect(told).toEqual([]);
  });

  test('S13, F7, Q10, R9 · failures: their share of an hour and of five minutes, dead letters, more than 10 for good, more than 100 for later', async () => {
    emulator.addRule({ id: 'never', match: { textIncludes: 'never' }, action: { kind: 'error', code: 131026 } });
    const later = { kind: 'error', code: 131000, httpStatus: 400 } as const;
    emulator.addRule({ id: 'later', match: { textIncludes: 'later' }, action: later });
    await send(place, [...texts(30, 'never'), ...texts(101, 'later')]);
    await expectFiring(place, 'failed-share', 'failure-rate', 'dead-letters', 'failures-permanent', 'failures-pending');
  });

  test('S13, F7, Q10 · more than 1,000 wait, and for minutes', async () => {
    await administer(place, 'POST', '/admin/senders/default/pause');
    await send(place, texts(1001, 'waits'));
    await expectFiring(place, 'waiting-many', 'waiting-long');
  });

  test('F7 · the retry worker is stopped', async () => {
    await place.program.failures.worker.stop();
    await expectFiring(place, 'retry-worker-stopped');
    place.program.failures.worker.start();
  });

  test('T4 · a spike of misses, and a low hit rate over enough reads', async () => {
    const { service } = place.program.caches;
    for (let n = 0; n < 200; n += 1) await service.get(`nothing:${n}`);
    await expectFiring(place, 'cache-miss-spike', 'cache-hit-rate');
  });

  test('Q10 · a Redis above 80 % of its memory', async () => {
    const client = new Redis(place.redis.url);
    const used = Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
    await client.config('SET', 'maxmemory', String(Math.round(used / 0.85)));
    await expectFiring(place, 'redis-memory');
    await client.config('SET', 'maxmemory', '0');
    client.disconnect();
  });

  test('Q10 · a Redis that does not answer, told by the process alone', async () => {
    await place.redis.kill('SIGSTOP');
    try {
      await eventually(() => expect(told.map(({ alert }) => alert)).toContain('redis-unreachable'), {
        timeoutMs: 20_000,
      });
    } finally {
      await place.redis.kill('SIGCONT');
    }
    await expectFiring(place, 'redis-unreachable');
    expect(forged).toEqual([]);
    await stop(place);
  });
});

test('P4 · a circuit opens, and the alert names the sender', async () => {
  const place = await start('all', { WHATSAPP_API_URL: 'http://127.0.0.1:1/v23.0', QUEUE_RETRY_ATTEMPTS: '3' });
  await send(place, texts(12, 'nobody there'));
  await expectFiring(place, 'breaker-open');
  expect((await firing(place)).get('breaker-open')?.instance).toBe('sender:default');
  await stop(place);
});

test('R9 · no worker lives; then one takes and never sends', async () => {
  const place = await start('web');
  await expectFiring(place, 'no-workers');
  const stuck = new WorkerLink({
    redis: { url: place.redis.url, db: 1 },
    shard: 0,
    worker: 'stuck',
    slots: 100,
    takeMax: 1, // each a hand-over of its own
    onGrants: () => undefined,
  });
  await stuck.start();
  await send(place, texts(40, 'never sent'));
  // What was taken counts as waiting once no attempt lasts so long: 15 s.
  await expectFiringWithin(35_000, place, ['stream-waiting']);
  await stuck.close();
  await stop(place);
});

test('R8 · events that the product never takes are given up, and its receiver is told of', async () => {
  const gone = createServer((_, response) => response.writeHead(410).end());
  gone.listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const place = await start('all', {
    EVENTS_URL: `http://127.0.0.1:${(gone.address() as AddressInfo).port}`,
    EVENTS_SECRET: SECRET,
    DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL: 'true',
  });
  await send(place, texts(3, 'fine'));
  await expectFiring(place, 'events-dead', 'events-receiver-failing');
  await stop(place);
  gone.close();
});
