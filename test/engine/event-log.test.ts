import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import { ShardReader } from '../../src/engine/shard-reader.ts';
import { ShardEventLog } from '../../src/engine/event-log.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { Bench, SENT } from './support/bench.ts';

let redis: TestRedis;
let bench: Bench;
let log: ShardEventLog;
let commands: RedisClient;
beforeAll(async () => {
  redis = await testRedis();
});
beforeEach(async () => {
  bench = await Bench.open(redis);
  const { target } = bench;
  commands = commandClient(target, 5000);
  await whenReady(commands, 5000);
  log = new ShardEventLog(0, commands, new ShardReader(target, 0));
});
afterEach(async () => {
  await log.close();
  disconnect(commands);
  await bench.close();
});

describe('The event log', () => {
  it('tells the whole life of a message, in order, with all that its accept said', async () => {
    const answers = [{ kind: 'retry', delayMs: 1, counted: true } as const, SENT];
    await bench.worker('w1', () => answers.shift() ?? SENT);
    const one = await bench.accept({ conversation: 'c|with bars', contact: '+9665', priority: 7, text: 'ünï|cödé' });
    await bench.settled(2);
    const events = (await log.read('0-0', 100, 100)).flatMap((entry) => [...entry.events]);
    expect(events.map(({ type }) => type)).toEqual(['accepted', 'retry', 'sent']);
    expect(events[0]).toMatchObject({
      messageId: one.id,
      lane: one.lane,
      seq: 1,
      contact: '+9665',
      priority: 7,
      sendAtMs: null,
      expiresAtMs: null,
      body: one.body,
    });
    expect(events[2]).toMatchObject({ providerMessageId: 'wamid.1' });
  });

  it('read() waits for what comes, continues after a position, and ends when closed', async () => {
    const waiting = log.read('0-0', 10, 5000);
    await bench.accept();
    const [first] = await waiting;
    expect(first?.events).toHaveLength(1);
    expect(await log.read(first?.id ?? '', 10, 20)).toEqual([]);
    const open = log.read(first?.id ?? '', 10, 60_000);
    await log.close();
    expect(await open).toEqual([]);
  });

  it('keeps what is not recorded, forgets what is, and may be told twice', async () => {
    const [first] = [await bench.accept(), await bench.accept()];
    const entries = await log.read('0-0', 100, 100);
    await log.recorded(entries.slice(0, 1));
    await log.recorded(entries.slice(0, 1));
    await eventually(async () => (await bench.client.xlen('{wx:0}ev')) === entries.length - 1);
    // Its entry is gone, and with it what a read straight after the accept needed.
    expect(await bench.queue.unrecorded(first.id)).toBeNull();
  });

  it('a close forgets what was recorded at once', async () => {
    await bench.accept();
    await log.recorded(await log.read('0-0', 100, 100));
    await log.close();
    expect(await bench.client.xlen('{wx:0}ev')).toBe(0);
  });

  it('tells a damaged body and a foreign entry as damaged and goes on with the rest', async () => {
    await bench.accept({ text: 'fine' });
    await bench.client.xadd('{wx:0}ev', '*', 't', '1', 'A|s|t|c', '1|5||id||k|deadbeef{}', 'C', 'other|');
    await bench.client.xadd('{wx:0}ev', '*', 'A', 'by hand');
    const entries = await log.read('0-0', 100, 100);
    expect(entries.flatMap(({ damaged }) => damaged ?? [])).toEqual([
      expect.stringContaining('does not match its checksum'),
      expect.stringContaining('without its time'),
    ]);
    expect(entries.flatMap(({ events }) => events.map(({ type }) => type))).toEqual(['accepted', 'cancelled']);
  });
});
