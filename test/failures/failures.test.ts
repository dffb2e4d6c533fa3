import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import { createWaxwing, type Waxwing } from '../../src/index.ts';
import { sql } from '../support/postgres.ts';
import { programSettings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';

/* The slow path through the whole program: queue, worker, provider, recorder, retry worker; time is compressed. */

let emulator: Emulator;
let waxwing: Waxwing;
let databaseUrl: string;
const SCHEDULE_SECONDS = [1, 60];

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  databaseUrl = database.url;
  emulator = await startEmulator();
  waxwing = createWaxwing({
    role: 'all',
    settings: programSettings(
      { redis, database, emulator },
      {
        QUEUE_RETRY_ATTEMPTS: '1',
        RETRY_SCHEDULE_SECONDS: SCHEDULE_SECONDS.join(','),
        CIRCUIT_BREAKER_THRESHOLD: '1000',
      },
    ),
  });
  await waxwing.start();
});

afterAll(async () => {
  await waxwing.stop();
  await emulator.stop();
});

let n = 0;
const phone = () => `+4479460958${String((n += 1)).padStart(2, '0')}`;
const send = (to: string) =>
  waxwing.enqueueWhatsAppSend({ restaurantId: 'r1', phoneNumber: to, text: 'Your table is ready' });
const failureOf = async (id: string) =>
  (await waxwing.failures.list({ limit: 200 })).items.find((failure) => failure.id === id);
const calls = (id: string) => emulator.ledger().filter((entry) => entry.tag?.includes(id) === true);

describe('Slow retries', () => {
  it('F5 · a due retry reaches the provider within a second of its time, never early, and is RESOLVED', async () => {
    const rule = emulator.addRule({ action: { kind: 'error', code: 131000 }, times: 30 });
    const standstill = watchStandstill(() => sql(databaseUrl, 'select 1'));
    const jobs = await Promise.all(Array.from({ length: 30 }, () => send(phone())));
    await eventually(async () => (await waxwing.failures.counts()).resolved >= 30, { timeoutMs: 15_000 });
    emulator.removeRule(rule.id);
    const lateMs: number[] = [];
    for (const { id } of jobs) {
      expect(await failureOf(id)).toMatchObject({ status: 'RESOLVED', attemptCount: 2 });
      const [first, second] = await sql<{ started_at: Date; ended_at: Date }>(
        databaseUrl,
        'select started_at, ended_at from attempts where message_id = $1 order by attempt',
        [id],
      );
      lateMs.push((second?.started_at.getTime() ?? 0) - (first?.ended_at.getTime() ?? 0) - 1000);
    }
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(-5);
    expect(Math.max(...lateMs)).toBeLessThanOrEqual(1000 + standstill.ms());
  });

  it('F6 · two workers that retry the same rows at once send each of them once', async () => {
    emulator.addRule({ id: 'down', action: { kind: 'error', code: 131000 } });
    const jobs = await Promise.all(Array.from({ length: 5 }, () => send(phone())));
    for (const { id } of jobs)
      await eventually(async () => (await failureOf(id))?.attemptCount === 2, { timeoutMs: 8000 });
    emulator.removeRule('down');
    const totals = await Promise.all([
      waxwing.failures.retryFailedMessages(10, 10_000),
      waxwing.failures.retryFailedMessages(10, 10_000),
    ]);
    expect(totals[0].total + totals[1].total).toBe(5);
    expect(totals[0].succeeded + totals[1].succeeded).toBe(5);
    for (const { id } of jobs) expect(calls(id).filter(({ taken }) => taken)).toHaveLength(1);
  });

  it('F6 · logDeliveryFailure() hands a failure to the slow schedule; one without retries left is a dead letter', async () => {
    const to = phone();
    const failure = { to, message: 'From elsewhere', idempotencyKey: 'k1', tenant: 'r1' };
    const id = await waxwing.failures.logDeliveryFailure(failure, new Error('the other program failed'));
    const row = await eventually(() => failureOf(id));
    expect(row).toMatchObject({ phoneNumber: to, message: 'From elsewhere', idempotencyKey: 'k1', attemptCount: 1 });
    await eventually(async () => (await failureOf(id))?.status === 'RESOLVED', { timeoutMs: 10_000 });
    const spent = await waxwing.failures.logDeliveryFailure({ ...failure, attemptCount: 3 }, 'no more');
    await eventually(async () =>
      (await waxwing.failures.deadLetters.list({ tenant: 'r1' })).items.some((l) => l.messageId === spent),
    );
    const { deadLetters } = waxwing.failures;
    expect(await deadLetters.redrive({ ids: [spent] }, 'ada', false)).toMatchObject({ affected: 1 });
    await eventually(async () => (await failureOf(spent))?.status === 'RESOLVED', { timeoutMs: 10_000 });
    expect(calls(spent).filter(({ taken }) => taken)).toHaveLength(1);
  });

  it('F5 · 131049 told in the answer waits its 24 hours: nobody starts it before', async () => {
    const to = phone();
    emulator.addRule({ match: { recipient: to }, action: { kind: 'error', code: 131049 } });
    const { id } = await send(to);
    const row = await eventually(() => failureOf(id));
    expect(row).toMatchObject({ status: 'PENDING', errorCode: '131049', metadata: { waitsFor: 'provider' } });
    expect((row.nextRetryAtMs ?? 0) - Date.now()).toBeGreaterThan(23.9 * 3_600_000);
    expect(await waxwing.failures.retryFailedMessages(10, 1)).toMatchObject({ total: 0 });
    expect(await waxwing.failures.retryNow(id)).toBe(false);
    expect(calls(id)).toHaveLength(1);
  });

  it('F6 · the worker says how it is, and stops and starts', async () => {
    const { whatsappRetryWorker: worker } = waxwing.failures;
    expect(worker.getStatus()).toMatchObject({ isRunning: true, intervalMs: 120_000 });
    await worker.stop();
    expect(worker.getStatus()).toMatchObject({ isRunning: false });
    worker.start();
    expect(worker.getStatus()).toMatchObject({ isRunning: true });
  });
});

describe('Dead letters', () => {
  it('S12 · are explained, tried in a dry run, redriven once and then on their way (409)', async () => {
    const to = phone();
    emulator.addRule({ id: 'refuse', match: { recipient: to }, action: { kind: 'error', code: 131026 } });
    const { id } = await send(to);
    const { deadLetters } = waxwing.failures;
    const detail = await eventually(() => deadLetters.get(id).catch(() => null));
    expect(detail.letter).toMatchObject({ tenant: 'r1', code: '131026', held: false });
    expect(detail.attempts).toHaveLength(1);
    expect(detail.advice.personShould).toContain('Check the number');
    expect(await deadLetters.redrive({ filter: { code: '131026' } }, 'ada', true)).toMatchObject({
      dryRun: true,
      affected: 1,
      items: [{ id, result: 'would' }],
    });
    expect(calls(id)).toHaveLength(1);
    emulator.removeRule('refuse');
    expect(await deadLetters.redrive({ ids: [id] }, 'ada', false)).toMatchObject({ affected: 1 });
    await eventually(() => calls(id).some(({ taken }) => taken));
    await eventually(async () => (await failureOf(id))?.status === 'RESOLVED');
    await expect(deadLetters.redrive({ ids: [id] }, 'ada', false)).rejects.toMatchObject({ code: 'CONFLICT' });
    const redriven = await eventually(async () => {
      const { items } = await waxwing.messages.timeline(id, { kind: 'platform' });
      return items.find(({ event }) => event === 'redriven');
    });
    expect(redriven.detail).toMatchObject({ by: 'ada', cause: 'person' });
  });

  it('S12 · a filter that matches nothing says so, and an unknown id is 404', async () => {
    const { deadLetters } = waxwing.failures;
    const report = await deadLetters.redrive({ filter: { tenant: 'nobody' } }, 'ada', false);
    expect(report).toMatchObject({ matched: 0, affected: 0 });
    expect(report.sentence).toMatch(/No dead letter matches/);
    const unknown = '01920f3e-0000-7000-8000-000000000000';
    await expect(deadLetters.redrive({ ids: [unknown] }, 'ada', false)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(deadLetters.get(unknown)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('S12 · a discarded one is gone for good, and its failure stays on record', async () => {
    const to = phone();
    emulator.addRule({ id: 'refuse', match: { recipient: to }, action: { kind: 'error', code: 131026 } });
    const { id } = await send(to);
    const { deadLetters } = waxwing.failures;
    await eventually(() => deadLetters.get(id).catch(() => null));
    expect(await deadLetters.discard({ ids: [id] }, 'ada', false)).toMatchObject({ affected: 1 });
    await expect(deadLetters.get(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await failureOf(id)).toMatchObject({ status: 'FAILED', metadata: { discardedBy: 'ada' } });
  });
});
