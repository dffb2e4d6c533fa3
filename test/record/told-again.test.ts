import { describe, expect, it } from 'vitest';
import { createRecorder } from '../../src/record/index.ts';
import type { RecordedBatch } from '../../src/record/recorder.ts';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { newId } from '../../src/util/ids.ts';
import { testDatabase } from '../support/services.ts';
import { accepted, BASE_MS, sent, status } from './support/events.ts';
import type { MemoryLog } from './support/memory-log.ts';
import { sql } from '../support/postgres.ts';
import { logOf } from './support/record.ts';

/* C4 · Caches learn of every change, also when the recorder that wrote it died before it told of it. */

const { url } = await testDatabase();

/** A recorder that dies between its commit and its word: its connection and its lock are gone, its batch is kept. */
async function dying(log: MemoryLog): Promise<void> {
  let told: () => void = () => undefined;
  const isTold = new Promise<void>((resolve) => (told = resolve));
  const recorder = createRecorder({
    databaseUrl: url,
    log,
    onBatch: () => {
      told();
      return Promise.reject(new Error('killed'));
    },
  });
  recorder.start();
  await isTold;
  await recorder.stop();
}

async function successor(log: MemoryLog): Promise<RecordedBatch[]> {
  const batches: RecordedBatch[] = [];
  const recorder = createRecorder({ databaseUrl: url, log, onBatch: (batch) => void batches.push(batch) });
  recorder.start();
  expect(await recorder.caughtUp()).toBe(true);
  await recorder.stop();
  return batches;
}

describe('C4 · a recorder that takes over', () => {
  const messageId = newId();
  const stories: readonly [string, LifecycleEvent[]][] = [
    ['an accepted message', [accepted({ messageId, tenant: 'salon9', conversation: 'c9' })]],
    ['a sent one', [sent(messageId, 'wamid.told')]],
    ['a status', [status('wamid.told', 'delivered', BASE_MS + 5000)]],
  ];
  it.each(stories)('tells of %s that the dead one had recorded', async (_what, events) => {
    const log = logOf(events);
    const left = log.entries();
    await dying(log);
    expect(log.forgotten).toEqual([]);
    const [known] = await sql<{ count: string }>(url, 'select count(*) from messages where id = $1', [messageId]);
    expect(Number(known?.count)).toBe(1);
    const again = logOf();
    again.restore(left);
    const batches = await successor(again);
    expect(batches.flatMap(({ threads }) => threads)).toEqual([{ tenant: 'salon9', conversation: 'c9' }]);
    expect(batches.flatMap(({ deliveries }) => deliveries)).toEqual([]);
    expect(again.forgotten).toEqual(left.map(({ id }) => id));
  });

  it('the log forgets a batch only after its word was passed on', async () => {
    const log = logOf([accepted({ tenant: 'salon9', conversation: 'c10' })]);
    let pass: () => void = () => undefined;
    let asked: () => void = () => undefined;
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const recorder = createRecorder({
      databaseUrl: url,
      log,
      onBatch: () => (asked(), new Promise<void>((resolve) => (pass = resolve))),
    });
    recorder.start();
    await isAsked;
    expect(log.forgotten).toEqual([]);
    pass();
    expect(await recorder.caughtUp()).toBe(true);
    expect(log.forgotten).toHaveLength(1);
    await recorder.stop();
  });
});
