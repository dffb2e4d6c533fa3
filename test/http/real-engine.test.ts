import { expect, test } from 'vitest';
import type { Grant, Settlement, UnrecordedMessage } from '../../src/engine/contract.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { text } from './support/api.ts';
import { apiOverEngine } from './support/over-engine.ts';

/** The same API over the real engine: what the model of the other tests promises, Redis keeps. No worker runs here. */
const { redis, queue, api } = await apiOverEngine();

const post = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  api.call({ method: 'POST', url: '/v1/messages', body: text(body), headers });
const REFUSED = { providerCode: '131026', title: 'Refused', detail: 'No.', retryable: false };
const idOf = async (body: Record<string, unknown>) => (await post(body)).json<{ id: string }>().id;

test('a message is accepted, read before and after it is recorded, listed, and cancelled', async () => {
  const id = await idOf({ tenant: 'real', conversation: 'c|1', metadata: { a: 'ü' } });
  const early = await api.call({ url: `/v1/messages/${id}` });
  expect(early.json()).toMatchObject({
    id,
    tenant: 'real',
    conversation: 'c|1',
    status: 'queued',
    metadata: { a: 'ü' },
  });
  await api.recorded();
  expect((await api.call({ url: `/v1/messages/${id}` })).json()).toEqual(early.json());
  const list = await api.call({ url: '/v1/messages?tenant=real' });
  expect(list.json<{ items: { id: string }[] }>().items.map((item) => item.id)).toEqual([id]);
  expect((await api.call({ method: 'DELETE', url: `/v1/messages/${id}` })).json()).toMatchObject({
    status: 'cancelled',
  });
  expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ status: 'cancelled' });
  expect((await api.call({ method: 'DELETE', url: `/v1/messages/${id}` })).statusCode).toBe(409);
  await api.recorded();
  const timeline = await api.call({ url: `/v1/messages/${id}/timeline` });
  expect(timeline.json<{ items: { event: string }[] }>().items.map((item) => item.event)).toEqual([
    'accepted',
    'cancelled',
  ]);
});

/** A worker whose calls to the provider end like this, until this message has ended. @returns it as the queue lists it then */
async function send(id: string, settlement: Settlement): Promise<UnrecordedMessage | null> {
  const attempt = async (grant: Grant) => {
    if (!(await worker.begin(grant.entry))) throw new Error('it came too late');
    const times = { startedAtMs: Date.now(), endedAtMs: Date.now() };
    const outcome = settlement.kind === 'sent' ? 'sent' : 'rejected';
    await worker.settle({ grant, settlement, report: { attempt: grant.attempt, worker: 'w', ...times, outcome } });
  };
  const onGrants = (grants: Grant[]) => void Promise.all(grants.map(attempt));
  const worker = new WorkerLink({ redis: { url: redis.url }, shard: 0, worker: newId(), slots: 1, onGrants });
  const ended = queue.waitForOutcome(id, 5000);
  await worker.start();
  expect(await ended).not.toBeNull();
  const listed = await queue.unrecorded(id);
  await worker.close();
  return listed;
}

test('what has ended is told as the record knows it, also while the queue still lists it', async () => {
  const id = await idOf({ tenant: 'real', conversation: 'told' });
  await send(id, { kind: 'sent', providerMessageId: 'wamid.told' });
  const told = { messageId: id, attempt: 1, providerMessageId: 'wamid.told', error: null };
  await queue.statuses([{ ...told, status: 'delivered', providerAtMs: Date.now() }]);
  await api.recorded();
  expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ status: 'delivered', attempts: 1 });
  const timeline = await api.call({ url: `/v1/messages/${id}/timeline` });
  const events = timeline.json<{ items: { event: string }[] }>().items.map(({ event }) => event);
  expect(events).toEqual(expect.arrayContaining(['accepted', 'sent', 'delivered']));
});

test('the calls that were made are told before the record knows of them', async () => {
  const id = await idOf({ tenant: 'real', to: '+4915112345679' });
  const listed = await send(id, { kind: 'failed', error: { code: 'PROVIDER_REJECTED', ...REFUSED } });
  expect(listed).toMatchObject({ attempts: 1, ended: { status: 'failed' } });
  expect((await api.call({ url: `/v1/messages/${id}` })).json()).toMatchObject({ status: 'failed', attempts: 1 });
});

test('a scheduled message is held until its time to the millisecond, however often it is read', async () => {
  const sendAt = new Date(Date.now() + 3_600_000).toISOString();
  const id = await idOf({ tenant: 'later', sendAt });
  const read = async (path = '') =>
    (await api.call({ url: `/v1/messages/${id}${path}` })).json<{ hold: object }>().hold;
  const early = await Promise.all(Array.from({ length: 10 }, () => read()));
  await api.recorded();
  const late = await Promise.all(Array.from({ length: 20 }, (_, n) => read(n % 2 === 0 ? '' : '/explain')));
  for (const hold of [...early, ...late]) expect(hold).toEqual({ kind: 'scheduled', until: sendAt });
});

test('a message behind another one of its conversation says so', async () => {
  const first = await idOf({ conversation: 'line' });
  const second = await idOf({ conversation: 'line' });
  expect((await api.call({ url: `/v1/messages/${second}` })).json()).toMatchObject({ hold: { kind: 'conversation' } });
  expect(first < second).toBe(true);
});

test('an idempotency key gives the first message, also with a process in between that knew nothing of it', async () => {
  const headers = { 'idempotency-key': 'real-key' };
  const answers = await Promise.all(Array.from({ length: 10 }, () => post({ tenant: 'real' }, headers)));
  expect(new Set(answers.map((answer) => answer.json<{ id: string }>().id)).size).toBe(1);
  expect((await post({ tenant: 'real', priority: 9 }, headers)).statusCode).toBe(422);
});

test('an idempotency key gives the first message also when it has expired since; without a key that time is refused', async () => {
  const headers = { 'idempotency-key': 'short-lived' };
  const expiresAtMs = Date.now() + 1500;
  const asked = { tenant: 'real', conversation: 'short', expiresAt: new Date(expiresAtMs).toISOString() };
  const first = await post(asked, headers);
  expect(first.statusCode).toBe(202);
  await eventually(() => Date.now() > expiresAtMs);
  const repeated = await post(asked, headers);
  expect(repeated.statusCode).toBe(200);
  expect(repeated.json()).toMatchObject({ id: first.json<{ id: string }>().id, duplicate: true });
  const refused = await post(asked);
  expect(refused.statusCode).toBe(400);
  expect(refused.json()).toMatchObject({ code: 'REQUEST_INVALID', field: 'expiresAt' });
});

test('S2 · a batch stands in the order of its items', async () => {
  const messages = Array.from({ length: 300 }, (_, i) =>
    text({ tenant: 'batch', conversation: 'b', text: { body: `${i}` } }),
  );
  const answer = await api.call({ method: 'POST', url: '/v1/messages/batch', body: { messages } });
  const ids = answer.json<{ results: { id: string }[] }>().results.map((result) => result.id);
  await api.recorded();
  const recorded = await Promise.all(ids.map((id) => api.record.messages.find('batch', id)));
  const seqs = recorded.map((message) => message?.seq ?? -1);
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
});

test('a tenant with a full backlog is 429', async () => {
  await api.record.tenants.create({ id: 'tiny', backlogMax: 2 });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await post({ tenant: 'tiny' })).statusCode);
  expect(statuses).toEqual([202, 202, 429]);
});

test('accepting goes on after Redis was emptied', async () => {
  await queue.runner.client.flushall();
  expect((await post({ tenant: 'real' })).statusCode).toBe(202);
});

test('503 with Retry-After within two seconds while Redis is away, and accepted again when it is back', async () => {
  await redis.kill('SIGSTOP');
  const standstill = watchStandstill();
  const startMs = performance.now();
  const refused = await post({ tenant: 'real' });
  expect(performance.now() - startMs).toBeLessThan(2000 + standstill.ms());
  expect(refused.statusCode).toBe(503);
  expect(refused.json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect(refused.headers['retry-after']).toMatch(/^\d+$/);
  await redis.kill('SIGCONT');
  await expect.poll(async () => (await post({ tenant: 'real' })).statusCode, { timeout: 10_000 }).toBe(202);
});
