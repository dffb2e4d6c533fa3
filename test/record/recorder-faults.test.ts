import { describe, expect, it } from 'vitest';
import type { EventLog, LifecycleEvent } from '../../src/model/events.ts';
import { createRecorder } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { accepted, sent } from './support/events.ts';
import { openGate } from './support/gate.ts';
import { MemoryLog } from './support/memory-log.ts';
import { sql } from '../support/postgres.ts';
import { logOf, recordAll, recordOfFile } from './support/record.ts';

const { url, record } = await recordOfFile();

/** What the server says of the recorders' locks of a shard. */
async function lockHolders(shard: number): Promise<{ held: number; waiting: number }> {
  const rows = await sql<{ granted: boolean }>(
    url,
    `select granted from pg_locks where locktype = 'advisory' and objid = $1
       and database = (select oid from pg_database where datname = current_database())`,
    [shard],
  );
  return { held: rows.filter((row) => row.granted).length, waiting: rows.filter((row) => !row.granted).length };
}

describe('recorder and a poison event', () => {
  const poisons: [string, (good: LifecycleEvent) => LifecycleEvent][] = [
    ['a body that is not JSON', (good) => ({ ...good, body: '{"to": "+9665, a secret' }) as LifecycleEvent],
    ['a message id that is none', (good) => ({ ...good, messageId: "x' or 1=1" })],
    ['an unknown type', (good) => ({ ...good, type: 'exploded' }) as unknown as LifecycleEvent],
    ['a time that is none', (good) => ({ ...good, atMs: Number.NaN })],
    ['a time beyond what PostgreSQL knows', (good) => ({ ...good, atMs: 8.64e15 })],
    ['a priority beyond its column', (good) => ({ ...good, priority: 1e9 }) as LifecycleEvent],
    [
      'a conversation id too long for the index',
      (good) => ({
        ...accepted(),
        messageId: good.messageId,
        lane: { ...accepted().lane, conversation: randomText() },
      }),
    ],
  ];

  it.each(poisons)('puts %s aside and records all the others', async (_what, poison) => {
    const good = Array.from({ length: 25 }, () => accepted());
    const entries = good.map((event) => [event, sent(event.messageId, `wamid.${event.messageId}`)]);
    entries.splice(11, 0, [poison(accepted())] as never);
    const reasons: string[] = [];
    const log = logOf(...entries);
    const before = await record.totals.quarantined();
    const recorder = await recordAll(url, log, { onQuarantined: (reason) => reasons.push(reason) });
    expect(log.length).toBe(0);
    expect(recorder.state()).toMatchObject({ quarantinedEvents: 1, recordedEvents: 50 });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).not.toContain('secret');
    const messages = await Promise.all(good.map((event) => record.messages.find(null, event.messageId)));
    expect(messages.map((message) => message?.status)).toEqual(good.map(() => 'sent'));
    const after = await record.totals.quarantined();
    expect(after[0]?.count).toBe((before[0]?.count ?? 0) + 1);
  });

  it('keeps the event as it was, once, however often it is read', async () => {
    const { url: own } = await testDatabase();
    const bad = { ...accepted(), body: 'not JSON \0 \ud800' };
    const log = logOf([accepted(), bad, accepted()]);
    const entries = log.entries();
    await recordAll(own, log);
    const again = new MemoryLog();
    again.restore(entries);
    await recordAll(own, again);
    const rows = await sql<{ raw: string; error: string; entry_index: number }>(
      own,
      'select * from recorder_quarantine',
    );
    expect(rows).toHaveLength(1);
    expect(JSON.parse(rows[0]?.raw ?? '')).toEqual(bad);
    expect(rows[0]).toMatchObject({ entry_index: 1 });
    expect(rows[0]?.error).toMatch(/JSON/);
    expect(await sql(own, 'select id from messages')).toHaveLength(2);
  });

  it('counts what the log itself could not decode, once, and goes on', async () => {
    const { url: own } = await testDatabase();
    const good = accepted();
    const log = logOf([good], [accepted()]);
    const entries = log
      .entries()
      .map((entry, index) => (index === 0 ? { ...entry, damaged: ['unreadable event'] } : entry));
    for (let round = 0; round < 2; round++) {
      const again = new MemoryLog();
      again.restore(entries);
      const recorder = await recordAll(own, again);
      expect(recorder.state()).toMatchObject({ quarantinedEvents: 1, recordedEvents: 2 });
    }
    expect(await sql(own, 'select entry_index, raw, error from recorder_quarantine')).toEqual([
      { entry_index: -1, raw: '', error: 'unreadable event' },
    ]);
    expect(await sql(own, 'select id from messages')).toHaveLength(2);
  });
});

describe('recorder while PostgreSQL is away', () => {
  it('keeps trying, says so, and catches up when it is back', async () => {
    const gate = await openGate(url);
    const log = new MemoryLog(5);
    let errors = 0;
    const recorder = createRecorder({ databaseUrl: gate.url, log, onError: () => errors++, blockMs: 20 });
    try {
      recorder.start();
      const first = accepted();
      log.append([first]);
      expect(await recorder.caughtUp()).toBe(true);
      expect(recorder.state()).toMatchObject({ phase: 'recording', caughtUp: true, lastError: null });

      await gate.shut();
      const meanwhile = Array.from({ length: 300 }, () => accepted());
      log.append(...meanwhile.map((event) => [event]));
      await eventually(() => errors >= 3, { what: 'three failures' });
      expect(recorder.state().caughtUp).toBe(false);
      expect(recorder.state().lastError).toEqual(expect.any(String));
      expect(log.length).toBe(300);

      await gate.open();
      expect(await recorder.caughtUp()).toBe(true);
      expect(log.length).toBe(0);
      const found = await Promise.all(meanwhile.map((event) => record.messages.find(null, event.messageId)));
      expect(found.filter((message) => message === null)).toEqual([]);
      expect(recorder.state()).toMatchObject({ phase: 'recording', lastError: null });
    } finally {
      await recorder.stop();
      await gate.close();
    }
  });

  it('starts and stops without PostgreSQL', async () => {
    const gate = await openGate(url);
    await gate.shut();
    const log = new MemoryLog(6);
    let errors = 0;
    const recorder = createRecorder({ databaseUrl: gate.url, log, onError: () => errors++ });
    recorder.start();
    await eventually(() => errors > 0);
    const waiting = recorder.caughtUp();
    await recorder.stop();
    expect(await waiting).toBe(false);
    expect(recorder.state().phase).toBe('stopped');
  });

  it('loses nothing when the server ends its connection again and again', async () => {
    const log = new MemoryLog(7);
    const events = Array.from({ length: 400 }, () => accepted({ tenant: 'cut' }));
    const recorder = createRecorder({ databaseUrl: url, log, batchMax: 3, blockMs: 20 });
    recorder.start();
    try {
      log.append(...events.flatMap((event) => [[event], [sent(event.messageId, `wamid.${event.messageId}`)]]));
      for (let cut = 0; cut < 5; cut++) {
        await eventually(() => recorder.state().phase === 'recording');
        await sql(
          url,
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'waxwing-recorder-7'`,
        );
      }
      expect(await recorder.caughtUp()).toBe(true);
    } finally {
      await recorder.stop();
    }
    const rows = await sql<{ status: string; count: number }>(
      url,
      `select status, count(*)::integer as count from messages where tenant = 'cut' group by status`,
    );
    expect(rows).toEqual([{ status: 'sent', count: 400 }]);
    const [conversation] = (await record.conversations.list('cut')).items;
    expect(conversation?.messagesOut).toBe(400);
  });
});

describe('recorder and a log that fails', () => {
  it('keeps its lock, reads again and records everything once', async () => {
    const log = new MemoryLog(8);
    let errors = 0;
    const recorder = createRecorder({ databaseUrl: url, log, onError: () => errors++, blockMs: 20 });
    log.readError = new Error('Redis is away');
    recorder.start();
    try {
      await eventually(() => errors > 0);
      expect(await lockHolders(8)).toEqual({ held: 1, waiting: 0 });
      log.readError = null;
      log.recordedError = new Error('Redis is away');
      const event = accepted({ tenant: 'log-away' });
      log.append([event]);
      expect(await recorder.caughtUp()).toBe(true);
      expect(log.length).toBe(0);
      expect((await record.conversations.list('log-away')).items[0]?.messagesOut).toBe(1);
    } finally {
      await recorder.stop();
    }
  });
});

describe('recorders of one shard', () => {
  it('record one at a time; the next takes over when the first stops', async () => {
    const log = new MemoryLog(9);
    const first = createRecorder({ databaseUrl: url, log: openHandle(log), blockMs: 20 });
    const other = createRecorder({ databaseUrl: url, log: openHandle(log), blockMs: 20 });
    first.start();
    await eventually(() => first.state().phase === 'recording');
    other.start();
    await eventually(async () => (await lockHolders(9)).waiting === 1);
    expect(other.state().phase).toBe('waiting');
    log.append([accepted()]);
    expect(await first.caughtUp()).toBe(true);
    expect(other.state().recordedEvents).toBe(0);

    await first.stop();
    await eventually(() => other.state().phase === 'recording');
    log.append([accepted()]);
    expect(await other.caughtUp()).toBe(true);
    expect(other.state().recordedEvents).toBe(1);
    await other.stop();
    expect(await eventually(async () => (await lockHolders(9)).held === 0)).toBe(true);
  });

  it('leave the queue for the lock at once when they are stopped', async () => {
    const holder = createRecorder({ databaseUrl: url, log: new MemoryLog(10), blockMs: 20 });
    holder.start();
    await eventually(() => holder.state().phase === 'recording');
    const waiter = createRecorder({ databaseUrl: url, log: new MemoryLog(10), blockMs: 20 });
    waiter.start();
    await eventually(async () => (await lockHolders(10)).waiting === 1);
    const standstill = watchStandstill(() => sql(url, 'select 1'));
    const startedMs = performance.now();
    await waiter.stop();
    expect(performance.now() - startedMs).toBeLessThan(2_000 + standstill.ms());
    await eventually(async () => (await lockHolders(10)).waiting === 0);
    expect(holder.state().phase).toBe('recording');
    await holder.stop();
  });

  it('finish the batch under way when they are stopped, and tolerate a second start and a second stop', async () => {
    const log = new MemoryLog(11);
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    let isForgetting = false;
    const handle: EventLog = {
      ...openHandle(log),
      async recorded(entries) {
        isForgetting = true;
        await held;
        await log.recorded(entries);
      },
    };
    log.append([accepted()], [accepted()]);
    const recorder = createRecorder({ databaseUrl: url, log: handle, blockMs: 20 });
    recorder.start();
    recorder.start();
    await eventually(() => isForgetting);
    let isStopped = false;
    const stopped = Promise.all([recorder.stop(), recorder.stop()]).then(() => (isStopped = true));
    expect(await lockHolders(11)).toEqual({ held: 1, waiting: 0 });
    expect(isStopped).toBe(false);
    letGo();
    await stopped;
    expect(log.length).toBe(0);
    expect(recorder.state()).toMatchObject({ phase: 'stopped', recordedEvents: 2 });
    await eventually(async () => (await lockHolders(11)).held === 0);
  });
});

/** A process's own view of a log that others read too: closing it closes nothing for them. */
function openHandle(log: MemoryLog): EventLog {
  return {
    shard: log.shard,
    read: (after, count, blockMs) => log.read(after, count, blockMs),
    recorded: (entries) => log.recorded(entries),
    close: () => {
      log.wake();
      return Promise.resolve();
    },
  };
}

/** Long and not compressible: indexes compress what repeats. */
function randomText(): string {
  return Array.from({ length: 200 }, () => newId()).join('');
}
