import { afterEach, expect, test, vi } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { eventually } from '../support/services.ts';
import { text } from './support/api.ts';
import { apiOverEngine } from './support/over-engine.ts';
import { Gate } from './support/gate.ts';

/* R8 · Acts on streams and their audit while PostgreSQL comes and goes. */

const gate = new Gate();
const { queue, api } = await apiOverEngine({ viaGate: gate });
const admin = await api.token('admin');
afterEach(async () => {
  vi.restoreAllMocks();
  await gate.open();
});

const accept = async () =>
  (await api.call({ method: 'POST', url: '/v1/messages', body: text() })).json<{ id: string }>().id;
const skip = () => api.call({ method: 'POST', url: '/admin/streams/reset-to-latest?confirm=all', as: admin });
const audits = async () => (await api.record.audit.list({ action: 'stream' })).items;

/** Stands before the act itself, which is done afterwards. */
function beforeTheAct(happens: () => Promise<unknown>): void {
  const real = queue.streams.skip.bind(queue.streams);
  vi.spyOn(queue.streams, 'skip').mockImplementationOnce(async (scope, by) => {
    await happens();
    return await real(scope, by);
  });
}

test('R8 · what cannot be written into the audit is not done, and the answer says so', async () => {
  await accept();
  await accept();
  await gate.shut();
  const refused = await skip();
  expect(refused.statusCode).toBe(503);
  expect(refused.json()).toMatchObject({
    code: 'RECORD_UNAVAILABLE',
    detail: expect.stringMatching(/^Nothing was done/) as string,
  });
  expect(await queue.counters()).toMatchObject({ queued: 2, cancelled: 0 });
  await gate.open();
  expect(await audits()).toEqual([]);
});

test('R8 · the audit knows of an act before it begins, and has who and how many when it is answered', async () => {
  const seen: unknown[] = [];
  beforeTheAct(async () => seen.push(...(await audits())));
  const id = await accept();
  expect((await skip()).json()).toEqual({ shard: 'all', cancelled: 3, kept: 0 });
  const entry = { actor: 'admin@example.com', action: 'stream.reset-to-latest', target: 'shard all' };
  expect(seen).toMatchObject([{ ...entry, detail: { shard: 'all', state: 'begun' } }]);
  const written = await audits();
  expect(written).toMatchObject([entry]);
  expect(written[0]?.detail).toEqual({ shard: 'all', cancelled: 3, kept: 0 });
  await api.recorded();
  const timeline = async () => (await api.record.messages.timeline(null, id)) ?? [];
  expect((await timeline()).at(-1)).toMatchObject({ event: 'cancelled', detail: { by: 'admin@example.com' } });
});

test('R8 · when PostgreSQL goes away in the middle, the answer says what was done and the audit hears of it later', async () => {
  await accept();
  beforeTheAct(() => gate.shut());
  const done = await skip();
  expect([done.statusCode, done.json()]).toEqual([200, { shard: 'all', cancelled: 1, kept: 0 }]);
  await gate.open();
  await eventually(async () => (await audits())[0]?.detail['cancelled'] === 1, { timeoutMs: 20_000 });
  expect((await audits())[0]?.detail).toEqual({ shard: 'all', cancelled: 1, kept: 0 });
});

test('R8 · an act that breaks off is written down as such', async () => {
  beforeTheAct(() => Promise.reject(new AppError('QUEUE_UNAVAILABLE')));
  expect((await skip()).json()).toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
  expect((await audits())[0]?.detail).toEqual({ shard: 'all', brokeOff: 'QUEUE_UNAVAILABLE' });
});

test('R8 · an entry is completed once', async () => {
  const act = { actor: 'ada', action: 'stream.claim', target: 'shard 0' };
  const id = await api.record.audit.begin({ ...act, detail: { shard: 0 } });
  const other = await api.record.audit.add({ ...act, detail: { shard: 1 } });
  await api.record.audit.complete(id, { claimed: 1 });
  await api.record.audit.complete(id, { claimed: 2 });
  await api.record.audit.complete(other, { claimed: 2 });
  const details = new Map((await audits()).map((entry) => [entry.id, entry.detail]));
  expect([details.get(id), details.get(other)]).toEqual([{ shard: 0, claimed: 1 }, { shard: 1 }]);
});
