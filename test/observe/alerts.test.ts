import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Figure, MetricDefinition } from '../../src/model/figures.ts';
import {
  ALERT_RULES,
  AlertEngine,
  type AlertRule,
  type AlertStore,
  alertWebhook,
  redisAlertStore,
} from '../../src/observe/index.ts';
import { eventually } from '../support/eventually.ts';
import { sharedRedisUrl } from '../support/services.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const MINUTE_MS = 60_000;

/** A world whose figures and clock the test holds. */
class World {
  nowMs = Date.parse('2030-01-01T00:00:00Z');
  figures: Figure[] = [];
  definitions: MetricDefinition[] = [];
  readonly changes: string[] = [];

  engine(store: AlertStore, more: Partial<ConstructorParameters<typeof AlertEngine>[0]> = {}): AlertEngine {
    return new AlertEngine({
      rules: ALERT_RULES,
      metrics: {
        snapshot: () => Promise.resolve({ atMs: this.nowMs, figures: this.figures }),
        definitions: this.definitions,
      },
      store,
      process: 'one',
      deliver: null,
      onChange: (rule, { kind, alert }) =>
        this.changes.push(`${rule.id}${alert.instance && `(${alert.instance})`} ${kind}`),
      now: () => this.nowMs,
      ...more,
    });
  }

  set(name: string, value: number, labels?: Record<string, string>): void {
    const same = (figure: Figure) => figure.name === name && JSON.stringify(figure.labels) === JSON.stringify(labels);
    this.figures = this.figures.filter((figure) => !same(figure));
    this.figures.push({ name, value, ...(labels === undefined ? {} : { labels }) });
  }

  ended(sent: number, failed: number): void {
    this.set('waxwing_messages_total', sent, { state: 'sent' });
    this.set('waxwing_messages_total', failed, { state: 'failed' });
  }
}

/** Alone with its state: for tests of the rules. */
function aloneStore(): AlertStore {
  return {
    meet: () => Promise.resolve({ isLeader: true, others: [], state: null }),
    save: () => Promise.resolve(true),
    leave: () => Promise.resolve(),
  };
}

const stateOf = (engine: AlertEngine, rule: string) =>
  engine.state.alerts.find((alert) => alert.rule === rule && alert.state !== 'resolved')?.state;

describe('rules', () => {
  let world: World;
  let engine: AlertEngine;
  beforeEach(() => {
    world = new World();
    engine = world.engine(aloneStore());
  });
  const after = async (ms: number) => {
    world.nowMs += ms;
    await engine.tick();
  };

  test('S13 · failed messages above 5 % of those that ended raise an alert, 5 % do not', async () => {
    world.ended(0, 0);
    await engine.tick();
    world.ended(95, 5);
    await after(5000);
    expect(stateOf(engine, 'failed-share')).toBeUndefined();
    world.ended(94 + 95, 6 + 5);
    await after(5000);
    expect(stateOf(engine, 'failed-share')).toBe('firing');
    expect(engine.state.alerts.find(({ rule }) => rule === 'failed-share')?.value).toBeCloseTo(11 / 200);
  });

  test('S13 · a share of very few messages says nothing', async () => {
    world.ended(0, 0);
    await engine.tick();
    world.ended(1, 1);
    await after(5000);
    expect(stateOf(engine, 'failed-share')).toBeUndefined();
  });

  test('S13 · what failed before the window no longer counts', async () => {
    world.ended(0, 0);
    await engine.tick();
    world.ended(50, 50);
    await after(5000);
    expect(stateOf(engine, 'failed-share')).toBe('firing');
    for (let minute = 0; minute < 62; minute += 1) {
      world.ended(100 + minute * 10, 50);
      await after(MINUTE_MS);
    }
    expect(stateOf(engine, 'failed-share')).toBeUndefined();
    expect(world.changes).toContain('failed-share resolved');
  });

  test('S13, F7 · more than 1,000 waiting messages raise an alert at once', async () => {
    world.set('waxwing_backlog', 1000, { state: 'queued' });
    await engine.tick();
    expect(stateOf(engine, 'waiting-many')).toBeUndefined();
    world.set('waxwing_backlog', 1001, { state: 'queued' });
    await after(5000);
    expect(stateOf(engine, 'waiting-many')).toBe('firing');
  });

  test('Q10 · more than 1,000 waiting for 5 minutes is critical, and a short break begins anew', async () => {
    world.set('waxwing_backlog', 1001, { state: 'queued' });
    await engine.tick();
    expect(stateOf(engine, 'waiting-long')).toBe('pending');
    await after(4 * MINUTE_MS);
    world.set('waxwing_backlog', 10, { state: 'queued' });
    await after(5000);
    expect(stateOf(engine, 'waiting-long')).toBeUndefined();
    world.set('waxwing_backlog', 1001, { state: 'queued' });
    await after(5000);
    await after(4 * MINUTE_MS);
    expect(stateOf(engine, 'waiting-long')).toBe('pending');
    await after(MINUTE_MS);
    expect(stateOf(engine, 'waiting-long')).toBe('firing');
  });

  test('Q10 · failure rate of 5 minutes, Redis memory above 80 %, Redis away', async () => {
    world.ended(1000, 0);
    world.set('waxwing_redis_memory_used_bytes', 80, { redis: 'queue' });
    world.set('waxwing_redis_memory_max_bytes', 100, { redis: 'queue' });
    world.set('waxwing_redis_up', 1, { redis: 'queue' });
    await engine.tick();
    expect(world.changes).toEqual([]);
    world.ended(1100, 10);
    world.set('waxwing_redis_memory_used_bytes', 81, { redis: 'queue' });
    world.set('waxwing_redis_up', 0, { redis: 'queue' });
    await after(5000);
    expect(world.changes).toEqual(
      expect.arrayContaining(['redis-memory(queue) firing', 'redis-unreachable(queue) firing']),
    );
    expect(stateOf(engine, 'failure-rate')).toBe('pending');
    await after(MINUTE_MS);
    expect(stateOf(engine, 'failure-rate')).toBe('firing');
  });

  test('F7 · pending above 100, permanent above 10, and timers that nobody serves', async () => {
    world.ended(500, 0);
    world.set('waxwing_delivery_failures', 100, { status: 'PENDING' });
    world.set('waxwing_dead_letters', 10);
    world.set('waxwing_timer_lag_seconds', 0.01, { shard: '0' });
    await engine.tick();
    expect(world.changes).toEqual([]);
    world.ended(1500, 11);
    world.set('waxwing_delivery_failures', 101, { status: 'PENDING' });
    world.set('waxwing_dead_letters', 11);
    world.set('waxwing_timer_lag_seconds', 61, { shard: '0' });
    // One process's worker runs, the other's does not.
    world.set('waxwing_retry_worker_running', 1, { process: 'one' });
    world.set('waxwing_retry_worker_running', 0, { process: 'two' });
    await after(5000);
    expect(world.changes).toEqual(
      expect.arrayContaining(['failures-pending firing', 'failures-permanent firing', 'dead-letters firing']),
    );
    for (const rule of ['retry-worker-stopped', 'timers-overdue']) expect(stateOf(engine, rule)).toBe('pending');
    await after(MINUTE_MS);
    for (const rule of ['retry-worker-stopped', 'timers-overdue']) expect(stateOf(engine, rule)).toBe('firing');
  });

  test('R9 · more than 10 entries waiting for 5 minutes; no worker for a minute in one shard; dead letters', async () => {
    world.ended(10, 0);
    world.set('waxwing_stream_waiting', 10, { shard: '0' });
    world.set('waxwing_workers', 1, { shard: '1' });
    await engine.tick();
    await after(10 * MINUTE_MS);
    expect(world.changes).toEqual([]);
    world.set('waxwing_stream_waiting', 11, { shard: '0' });
    world.set('waxwing_workers', 2, { shard: '0' });
    world.set('waxwing_workers', 0, { shard: '1' });
    await engine.tick();
    expect(stateOf(engine, 'no-workers')).toBe('pending');
    world.ended(10, 1);
    await after(MINUTE_MS - 1);
    expect(world.changes).toEqual(['dead-letters firing']);
    await after(1);
    expect(world.changes).toEqual(expect.arrayContaining(['no-workers firing', 'dead-letters firing']));
    await after(4 * MINUTE_MS - 1);
    expect(stateOf(engine, 'stream-waiting')).toBe('pending');
    await after(1);
    expect(stateOf(engine, 'stream-waiting')).toBe('firing');
  });

  test('P4 · each open breaker is an alert of its own', async () => {
    world.set('waxwing_breaker_open', 1, { breaker: 'sender:a' });
    world.set('waxwing_breaker_open', 0, { breaker: 'sender:b' });
    world.set('waxwing_breaker_open', 1, { breaker: 'responder' });
    await engine.tick();
    expect(world.changes.sort()).toEqual(['breaker-open(responder) firing', 'breaker-open(sender:a) firing']);
  });

  test('T4 · a spike of misses, and a hit rate below 0.8 over enough reads', async () => {
    world.set('waxwing_cache_spike', 1, { cache: 'template' });
    world.set('waxwing_cache_hits_total', 79, { cache: 'template' });
    world.set('waxwing_cache_misses_total', 21, { cache: 'template' });
    await engine.tick();
    expect(world.changes).toEqual(['cache-miss-spike(template) firing']);
    await after(5 * MINUTE_MS);
    expect(stateOf(engine, 'cache-hit-rate')).toBe('firing');
  });

  test('an alert that flickers is one alert: it ends after half a minute of calm', async () => {
    for (const open of [1, 0, 1, 0]) {
      world.set('waxwing_breaker_open', open, { breaker: 'postgres' });
      await after(10_000);
    }
    expect(world.changes).toEqual(['breaker-open(postgres) firing']);
    await after(30_000);
    expect(world.changes).toEqual(['breaker-open(postgres) firing', 'breaker-open(postgres) resolved']);
  });

  test('a figure that is not known ends no alert and begins none', async () => {
    world.set('waxwing_breaker_open', 1, { breaker: 'postgres' });
    await engine.tick();
    world.figures = [];
    await after(10 * MINUTE_MS);
    expect(stateOf(engine, 'breaker-open')).toBe('firing');
    expect(world.changes).toHaveLength(1);
  });
});

describe('over processes', () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = new Redis(await sharedRedisUrl());
  });
  afterAll(() => redis.disconnect());
  beforeEach(() => redis.flushdb());

  test('one process tells of an alert, and another goes on where it left', async () => {
    const world = new World();
    const told: string[] = [];
    const processes = ['one', 'two', 'three'].map((process) =>
      world.engine(redisAlertStore(redis), {
        process,
        deliver: ({ id }) => {
          told.push(id);
          return Promise.resolve();
        },
      }),
    );
    const [one, two, three] = processes as [AlertEngine, AlertEngine, AlertEngine];
    const all = async () => {
      for (const engine of processes) await engine.tick();
      for (const engine of processes) await engine.delivered();
    };
    world.set('waxwing_backlog', 5000, { state: 'queued' });
    await all();
    expect(processes.map(({ isLeader }) => isLeader)).toEqual([true, false, false]);
    expect(told).toHaveLength(1);
    expect(stateOf(three, 'waiting-many')).toBe('firing');
    world.nowMs += 4 * MINUTE_MS;
    await all();
    // The leader goes; who comes next knows since when the condition holds.
    await one.stop();
    processes.shift();
    world.nowMs += MINUTE_MS;
    await all();
    expect(two.isLeader).toBe(true);
    expect(stateOf(three, 'waiting-long')).toBe('firing');
    expect(told.map((id) => id.replace(/-\d+$/, ''))).toEqual([
      'alert-waiting-many-firing',
      'alert-waiting-long-firing',
    ]);
    await two.stop();
    await three.stop();
  });

  test('what only another process sees raises an alert too', async () => {
    const definition = { name: 'waxwing_breaker_open', help: '', type: 'gauge', scope: 'process' } as const;
    const [a, b] = [new World(), new World()];
    a.definitions = b.definitions = [definition];
    b.set('waxwing_breaker_open', 1, { breaker: 'responder' });
    const leader = a.engine(redisAlertStore(redis), { process: 'a' });
    const other = b.engine(redisAlertStore(redis), { process: 'b' });
    await leader.tick();
    await other.tick();
    await leader.tick();
    expect(leader.isLeader).toBe(true);
    expect(a.changes).toEqual(['breaker-open(responder) firing']);
    expect(b.changes).toEqual([]);
    await leader.stop();
    await other.stop();
  });

  test('Q10 · while Redis is away the leader alone tells of it, and all show it', async () => {
    const [a, b] = [new World(), new World()];
    const broken = { is: false };
    const store = (): AlertStore => {
      const real = redisAlertStore(redis);
      const refuse = () => Promise.reject(new Error('connect ECONNREFUSED'));
      return {
        meet: (...args) => (broken.is ? refuse() : real.meet(...args)),
        save: (...args) => (broken.is ? refuse() : real.save(...args)),
        leave: (...args) => (broken.is ? refuse() : real.leave(...args)),
      };
    };
    const leader = a.engine(store(), { process: 'a' });
    const other = b.engine(store(), { process: 'b' });
    await leader.tick();
    await other.tick();
    broken.is = true;
    for (const world of [a, b]) world.set('waxwing_redis_up', 0, { redis: 'queue' });
    await leader.tick();
    await other.tick();
    expect(a.changes).toEqual(['redis-unreachable(queue) firing']);
    expect(b.changes).toEqual([]);
    expect(stateOf(other, 'redis-unreachable')).toBe('firing');
    await leader.stop();
    await other.stop();
  });
});

describe('webhook', () => {
  let server: Server;
  let url: string;
  let answers: number[];
  const received: { headers: IncomingMessage['headers']; body: string }[] = [];
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        received.push({ headers: request.headers, body });
        response.writeHead(answers.shift() ?? 204).end();
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}/alerts`;
  });
  afterAll(() => server.close());
  beforeEach(() => {
    received.length = 0;
    answers = [];
  });

  test('is signed, told again until it is taken, with the same id, the beginning before the end', async () => {
    const world = new World();
    answers = [500, 503];
    const failures: number[] = [];
    const engine = world.engine(aloneStore(), {
      deliver: alertWebhook({ url, secret: SECRET }),
      onUndelivered: (notice) => failures.push(notice.attempts),
    });
    const look = async (ms: number) => {
      world.nowMs += ms;
      await engine.tick();
      await engine.delivered();
    };
    world.set('waxwing_breaker_open', 1, { breaker: 'postgres' });
    await look(0);
    expect(received).toHaveLength(1);
    await look(500);
    expect(received, 'not before its time').toHaveLength(1);
    world.set('waxwing_breaker_open', 0, { breaker: 'postgres' });
    await look(600);
    expect(received).toHaveLength(2);
    await look(40_000);
    await eventually(() => received.length === 4);
    expect(failures).toEqual([0, 1]);
    const verified = received.map(({ headers, body }) => {
      return new Webhook(SECRET).verify(body, headers as Record<string, string>) as { type: string; data: unknown };
    });
    expect(verified.map(({ type }) => type)).toEqual([
      'alert.firing',
      'alert.firing',
      'alert.firing',
      'alert.resolved',
    ]);
    expect(verified[0]?.data).toMatchObject({ alert: 'breaker-open', severity: 'critical', instance: 'postgres' });
    const ids = received.map(({ headers }) => headers['webhook-id']);
    expect(new Set(ids.slice(0, 3)).size).toBe(1);
    expect(ids[3]).not.toBe(ids[0]);
    expect(engine.state.outbox).toEqual([]);
    await engine.stop();
  });

  test('a receiver that never answers keeps nobody from looking at the rules', async () => {
    const world = new World();
    const engine = world.engine(aloneStore(), { deliver: () => new Promise(() => undefined) });
    world.set('waxwing_breaker_open', 1, { breaker: 'postgres' });
    await engine.tick();
    world.set('waxwing_backlog', 1001, { state: 'queued' });
    world.nowMs += 5000;
    await engine.tick();
    expect(stateOf(engine, 'waiting-many')).toBe('firing');
    expect(engine.state.outbox).toHaveLength(2);
  });
});

test('every rule says what is the case and what to do, under a name of its own', () => {
  expect(new Set(ALERT_RULES.map(({ id }) => id)).size).toBe(ALERT_RULES.length);
  for (const rule of ALERT_RULES satisfies readonly AlertRule[]) {
    expect(rule.id).toMatch(/^[a-z][a-z-]+$/);
    for (const text of [rule.sentence, rule.advice]) expect(text).toMatch(/^[A-Z].*[.:)]$/);
  }
});
