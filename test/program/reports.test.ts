import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { signJwt } from '../../src/http/index.ts';
import type { LiveSnapshot, LiveUpdate } from '../../src/observe/live/types.ts';
import type { Program } from '../../src/program/start-program.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';

/*
 * What two web processes and a worker tell of the same messages: first nobody sends, then all is sent. Each test goes
 * on where the one before it ended.
 */

let emulator: Emulator;
const settings: Record<string, string> = {};
const webs: Program[] = [];
let worker: Program | undefined;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  Object.assign(
    settings,
    programSettings({ redis, database, emulator }),
    { WAXWING_API_KEY: 'platform-key-of-these-tests', JWT_SECRET: 'jwt-secret-of-these-tests-32-characters' },
    { WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long' },
  );
  webs.push(await runProgram(settings, 'web'));
});
afterAll(async () => {
  await worker?.stop();
  await Promise.all(webs.map((program) => program.stop()));
  await emulator.stop();
});

type Fields = Readonly<Record<string, unknown>>;

async function ask<T = Fields>(path: string, from = 0): Promise<T> {
  return (await (await callProgram(webs[from] as Program, path)).json()) as T;
}

/** @returns its id */
async function accept(tenant: string, to: string, more: Fields = {}, at = 0): Promise<string> {
  const body = { tenant, to, type: 'text', text: { body: 'hi' }, ...more };
  const answer = await callProgram(webs[at] as Program, '/v1/messages', body);
  expect(answer.status).toBe(202);
  return ((await answer.json()) as { id: string }).id;
}

/** A figure of `/metrics` that has no labels. */
async function figure(name: string, from: number): Promise<number> {
  const text = await (await callProgram(webs[from] as Program, '/metrics')).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

interface QueueReport {
  readonly queue: Readonly<Record<string, number>> & { readonly accepted: number };
  readonly failedShare: number;
  readonly failedShareTarget: number;
  readonly timings: {
    readonly attempts: number;
    readonly processingMs: Times;
    readonly acceptToProviderMs: Times;
  } | null;
}
interface Times {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}
interface CacheReport {
  readonly name: string;
  readonly reads: number;
  readonly hitRate: number | null;
}

const idsOf = (list: Fields) => (list['items'] as { id: string }[]).map(({ id }) => id).sort();
const ids: Record<'ready' | 'behind' | 'later', string[]> = { ready: [], behind: [], later: [] };

describe('while nobody sends', () => {
  it('S9 · jobs are listed per tenant and by state', async () => {
    for (const n of [1, 2, 3]) ids.ready.push(await accept('salon1', `+4477009001${n}0`));
    // Of the same conversation as the first: more workers would not help them.
    for (let n = 0; n < 2; n += 1) ids.behind.push(await accept('salon1', '+447700900110'));
    const sendAt = new Date(Date.now() + 3_600_000).toISOString();
    ids.later.push(await accept('salon2', '+447700900170', { sendAt }));
    const salon1 = [...ids.ready, ...ids.behind].sort();
    await eventually(async () => (expect(idsOf(await ask('/v1/messages?tenant=salon1'))).toEqual(salon1), true));
    await eventually(async () => (expect(idsOf(await ask('/v1/messages?tenant=salon2'))).toEqual(ids.later), true));
    expect(idsOf(await ask('/v1/messages?tenant=salon1&status=queued'))).toEqual(salon1);
    expect(idsOf(await ask('/v1/messages?tenant=salon1&status=scheduled'))).toEqual([]);
    expect(idsOf(await ask('/v1/messages?tenant=salon2&status=scheduled'))).toEqual(ids.later);
  });

  it('S9 · the queue report counts what waits and what is delayed', async () => {
    const report = await ask<QueueReport>('/api/v1/queues/stats');
    expect(report.queue).toMatchObject({ accepted: 6, waiting: 5, delayed: 1, active: 0, completed: 0, failed: 0 });
    expect(report).toMatchObject({ failedShare: 0, failedShareTarget: 0.01, timings: null });
  });

  it('P8 · waxwing_work_due, the figure to scale on, counts what a worker could send now, in every web process', async () => {
    webs.push(await runProgram(settings, 'web'));
    for (const web of [0, 1]) await eventually(async () => (await figure('waxwing_work_due', web)) === 3);
  });

  it('P5 · GET /api/workers/whatsapp has the size of the queue by state and hold, and no worker', async () => {
    const { queue, ...others } = await ask<{ queue: Fields }>('/api/workers/whatsapp', 1);
    expect(queue).toMatchObject({
      ...{ size: 6, due: 3 },
      byState: { queued: 5, scheduled: 1, deferred: 0, sending: 0, unknown: 0, held: 0 },
      byHold: { ready: 3, conversation: 2, scheduled: 1 },
    });
    expect(queue['oldestWaitingSeconds']).toBeGreaterThan(0);
    expect(others).toMatchObject({ workers: [], processing: null, completed: 0, failed: 0 });
  });
});

describe('while a worker sends', () => {
  const SLOW = '+447700900150';
  const REFUSED = '+447700900160';

  it('P8 · live updates reach the pages of every web process, whichever took the message in', async () => {
    const pages = await Promise.all([0, 1].map(openPage));
    for (const seen of pages) await eventually(() => seen()?.totals.accepted === 6);
    worker = await runProgram(settings, 'worker');
    emulator.addRule({ match: { recipient: REFUSED }, action: { kind: 'error', code: 131026 } });
    await accept('salon2', REFUSED, {}, 1);
    for (const seen of pages) await eventually(() => seen()?.totals.accepted === 7);
    for (const seen of pages) await eventually(() => seen()?.totals.sent === 5 && seen()?.totals.failed === 1);
  });

  it('P5 · S9 · what is in flight is active in the report, and in work at its worker', async () => {
    // Its answer is on its way for as long as this looks.
    emulator.addRule({ match: { recipient: SLOW }, action: { kind: 'slow', delayMs: 4000 } });
    await accept('salon2', SLOW);
    const name = worker?.worker?.name;
    await Promise.all([
      eventually(async () => (await ask<QueueReport>('/api/v1/queues/stats')).queue['active'] === 1),
      eventually(async () => {
        expect(await ask('/api/workers/whatsapp')).toMatchObject({ workers: [{ name, inWork: 1 }], queue: { due: 1 } });
        return true;
      }),
    ]);
  });

  it('S9 · R9 · at normal load every message is at the provider less than a second after its accept', async () => {
    const standstill = watchStandstill(() => (webs[0] as Program).queue.runner.client.ping());
    const calledAtMs = new Map<string, number>();
    for (let n = 0; n < 40; n += 1) {
      const atMs = Date.now();
      calledAtMs.set(await accept(`salon${n % 4}`, `+44770090020${n % 10}`, {}, n % 2), atMs);
    }
    const arrivals = () =>
      emulator.ledger().flatMap(({ tag, atMs, taken }) => {
        const calledMs = calledAtMs.get(tag?.split('.')[1] ?? '');
        return taken && calledMs !== undefined ? [atMs - calledMs] : [];
      });
    await eventually(() => arrivals().length === 40);
    expect(Math.max(...arrivals())).toBeLessThan(1000 + standstill.ms());
  });

  it('S9 · R9 · the report has what became of all of them, and p50, p95 and p99 of their times', async () => {
    const { timings, ...report } = await eventually(
      async () => {
        const { timings, ...found } = await ask<QueueReport>('/api/v1/queues/stats', 1);
        return found.queue['active'] === 0 && timings?.attempts === 47 ? { ...found, timings } : undefined;
      },
      { timeoutMs: 15_000 },
    );
    expect(report.queue).toMatchObject({ accepted: 48, completed: 46, failed: 1, delayed: 1, waiting: 0, active: 0 });
    const { accepted, ...others } = report.queue;
    expect(Object.values(others).reduce((sum, value) => sum + value, 0)).toBe(accepted);
    expect(report.failedShare).toBe(1 / 47);
    expect(report.failedShareTarget).toBe(0.01);
    const { processingMs, acceptToProviderMs } = timings;
    expect(processingMs.p99).toBeGreaterThan(1000);
    for (const { p50, p95, p99 } of [processingMs, acceptToProviderMs]) {
      expect([p50, p95, p99]).toEqual([p50, p95, p99].sort((a, b) => a - b));
      expect(p50).toBeGreaterThan(0);
    }
  });

  it('P5 · R9 · at rest nothing is due, in the stream or in work, and the worker and the times of its work are shown', async () => {
    for (const web of [0, 1]) await eventually(async () => (await figure('waxwing_work_due', web)) === 0);
    expect(await ask('/admin/streams/health')).toMatchObject({
      ...{ status: 'healthy', queue_depth: 0, pending: 0, consumers_count: 1, dlq_depth: 1, backlog: 1 },
      last_delivered_id: expect.stringMatching(/^[1-9]\d*-\d+$/) as string,
    });
    const report = await eventually(async () => {
      const found = await ask<{ queue: Fields; caches: CacheReport[] }>('/api/workers/whatsapp');
      return found.queue['size'] === 1 ? found : undefined;
    });
    expect(report).toMatchObject({
      queue: { size: 1, due: 0, byState: { queued: 0, scheduled: 1, sending: 0 }, byHold: { scheduled: 1 } },
      ...{ workers: [{ name: worker?.worker?.name, inWork: 0 }], completed: 46, failed: 1 },
      processing: { attempts: 47, processingMs: { p50: expect.any(Number) as number } },
    });
    expect(report.caches.map(({ name }) => name)).toEqual(expect.arrayContaining(['salon', 'whatsapp-config']));
    for (const { name, reads, hitRate } of report.caches) {
      expect(reads === 0 ? hitRate : Number(hitRate) >= 0 && Number(hitRate) <= 1, name).toBe(
        reads === 0 ? null : true,
      );
    }
  });
});

it('P5 · GET /api/webhooks/whatsapp/health has database, queue, breakers, the rate of errors and the hit rates of caches', async () => {
  const answer = await callProgram(webs[0] as Program, '/api/webhooks/whatsapp/health');
  const body = (await answer.json()) as { readonly caches: CacheReport[] };
  expect(answer.status).toBe(200);
  expect(body).toMatchObject({
    database: { status: 'up', recorderLagSeconds: expect.any(Number) as number },
    queue: { status: 'up' },
    breakers: expect.arrayContaining([{ name: 'postgres', open: false }]) as unknown[],
    errorRate: { failed: 1, completed: 46, share: 1 / 47 },
  });
  const salon = body.caches.find(({ name }) => name === 'salon');
  expect(salon?.reads).toBeGreaterThan(0);
  expect(salon?.hitRate).toBeGreaterThan(0);
  expect(salon?.hitRate).toBeLessThan(1);
});

/** What the dashboard of a web process last heard; its stream ends with the test. */
async function openPage(at: number): Promise<() => LiveSnapshot | undefined> {
  const { keys, server } = webs[at] as Program;
  const token = await signJwt(
    { role: 'viewer', name: 'vera' },
    { secret: keys.jwtSecret, audience: undefined, issuer: undefined },
  );
  const stop = new AbortController();
  const { body } = await fetch(`${server?.url ?? ''}/dashboard/api/stream`, {
    headers: { authorization: `Bearer ${token}` },
    signal: stop.signal,
  });
  let last: LiveSnapshot | undefined;
  const reading = (async () => {
    let buffer = '';
    for await (const text of (body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      const events = (buffer + text).split('\n\n');
      buffer = events.pop() ?? '';
      for (const event of events) {
        const data = /^event: update\ndata: (.*)$/.exec(event)?.[1];
        if (data !== undefined) last = (JSON.parse(data) as LiveUpdate).snapshot;
      }
    }
  })().catch(() => undefined);
  onTestFinished(async () => {
    stop.abort();
    await reading;
  });
  return () => last;
}
