import { setTimeout as delay } from 'node:timers/promises';
import type { Grant, SenderLimits, Settlement } from '../../src/engine/contract.ts';
import { decodeStreamReply } from '../../src/engine/event-log.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { acceptOne, OPEN_LIMITS } from '../contestants/engine.ts';
import { BenchWorker } from '../engine-worker.ts';
import { loadMessage } from '../load.ts';
import { type BenchRedis, serverCost, startBenchRedis } from '../redis.ts';
import { type BenchContext, ms, type Section, type SectionResult } from '../section.ts';
import { quantile, summary } from '../statistics.ts';

const WORKERS = 20;
const GAP_MS = 120;
/** The provider's clock and ours are one here; what is left is the rounding of whole milliseconds. */
const EARLY_MS = 5;

interface Kind {
  readonly label: string;
  readonly lateMs: readonly number[];
  readonly callsPerMessage: number;
}

interface Stage {
  readonly redis: BenchRedis;
  readonly queue: RedisSendQueue;
  /** When the handler began, epoch ms, by message id, one per attempt. */
  readonly starts: Map<string, number[]>;
  settlement: (grant: Grant) => Settlement | undefined;
}

const wallMs = (): number => performance.timeOrigin + performance.now();

/** Everything the engine told about each message since the last reading. */
async function readEvents({ redis }: Stage): Promise<LifecycleEvent[]> {
  const entries = decodeStreamReply(await redis.admin.callBuffer('XREAD', 'STREAMS', '{wx:0}ev', '0'));
  await redis.admin.del('{wx:0}ev');
  return entries.flatMap((entry) => [...entry.events]);
}

async function heartbeats({ redis }: Stage): Promise<number> {
  const beats = await redis.admin.hvals('{wx:0}hb');
  return beats.reduce((sum, beat) => sum + Number(beat), 0);
}

/** Runs one load to its end and counts the script calls, heartbeats apart: they come whether there is work or not. */
async function counted(stage: Stage, messages: number, load: () => Promise<void>): Promise<[number, LifecycleEvent[]]> {
  stage.starts.clear();
  const before = await serverCost(stage.redis.admin);
  const beatsBefore = await heartbeats(stage);
  await load();
  const cost = await serverCost(stage.redis.admin, before);
  const beats = (await heartbeats(stage)) - beatsBefore;
  return [(cost.scripts - beats) / messages, await readEvents(stage)];
}

async function sent(stage: Stage, count: number): Promise<void> {
  const done = async (): Promise<number> => (await stage.queue.counters()).sent;
  const goal = (await done()) + count;
  while ((await done()) < goal) await delay(20);
}

/** Three messages to each of many contacts: the second and third wait for the gap after the one before. */
async function pairGaps(stage: Stage, contacts: number): Promise<Kind> {
  const lateMs: number[] = [];
  const [callsPerMessage, events] = await counted(stage, contacts * 3, async () => {
    const finished = sent(stage, contacts * 3);
    for (let contact = 0; contact < contacts; contact += 1) {
      for (let n = 0; n < 3; n += 1) {
        await acceptOne(stage.queue, loadMessage(contact, { conversations: contacts, tenants: 50 }), false);
      }
      await delay(Math.random() * 12);
    }
    await finished;
  });
  const lanes = new Map<string, string>();
  const endedAtMs = new Map<string, number>();
  for (const event of events) {
    if (event.type === 'accepted') lanes.set(event.messageId, event.lane.conversation);
    if (event.type !== 'sent') continue;
    const lane = lanes.get(event.messageId) ?? '';
    const due = endedAtMs.get(lane);
    const start = stage.starts.get(event.messageId)?.[0];
    if (due !== undefined && start !== undefined) lateMs.push(start - due - GAP_MS);
    endedAtMs.set(lane, event.atMs);
  }
  return { label: `pair gap of ${GAP_MS} ms`, lateMs, callsPerMessage };
}

async function retries(stage: Stage, messages: number): Promise<Kind> {
  const lateMs: number[] = [];
  const [callsPerMessage, events] = await counted(stage, messages, async () => {
    const finished = sent(stage, messages);
    stage.settlement = (grant) =>
      grant.attempt === 1
        ? { kind: 'retry', delayMs: 100 + Math.floor(Math.random() * 300), counted: true }
        : undefined;
    for (let n = 0; n < messages; n += 1) {
      await acceptOne(stage.queue, loadMessage(n, { conversations: messages, tenants: 50 }), false);
      await delay(Math.random() * 12);
    }
    await finished;
  });
  stage.settlement = () => undefined;
  for (const event of events) {
    if (event.type !== 'retry') continue;
    const start = stage.starts.get(event.messageId)?.[1];
    // To the same contact, the pair gap counts too.
    if (start !== undefined) lateMs.push(start - event.atMs - Math.max(event.delayMs, GAP_MS));
  }
  // Each message is sent twice here.
  return {
    label: 'retry after 100 to 400 ms, at least the pair gap (per attempt)',
    lateMs,
    callsPerMessage: callsPerMessage / 2,
  };
}

async function schedules(stage: Stage, messages: number): Promise<Kind> {
  const due = new Map<string, number>();
  const [callsPerMessage] = await counted(stage, messages, async () => {
    const finished = sent(stage, messages);
    for (let n = 0; n < messages; n += 1) {
      const sendAtMs = Math.round(Date.now() + 300 + Math.random() * messages * 6);
      const message = loadMessage(n, { conversations: messages, tenants: 50 });
      due.set(await acceptOne(stage.queue, message, false, { sendAtMs }), sendAtMs);
    }
    await finished;
  });
  const lateMs = [...due].map(([id, sendAtMs]) => (stage.starts.get(id)?.[0] ?? Number.NaN) - sendAtMs);
  return { label: 'sendAt', lateMs, callsPerMessage };
}

/** No timer at all: what it costs to have many idle workers. */
async function plain(stage: Stage, messages: number): Promise<number> {
  const [callsPerMessage] = await counted(stage, messages, async () => {
    const finished = sent(stage, messages);
    for (let n = 0; n < messages; n += 1) {
      await acceptOne(stage.queue, loadMessage(n, { conversations: messages, tenants: 50 }), false);
      await delay(Math.random() * 12);
    }
    await finished;
  });
  return callsPerMessage;
}

async function run(context: BenchContext): Promise<SectionResult> {
  const messages = context.isQuick ? 100 : 600;
  const redis = await startBenchRedis('always');
  const queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1 });
  await queue.connect();
  const limits: SenderLimits = { ...OPEN_LIMITS, pairGapMs: GAP_MS };
  await queue.configureSender(limits);
  const stage: Stage = { redis, queue, starts: new Map(), settlement: () => undefined };
  const workers = Array.from({ length: WORKERS }, (_, n) => {
    return new BenchWorker({
      url: redis.url,
      name: `w${n}`,
      slots: 5,
      handle: (grant) => {
        stage.starts.set(grant.messageId, [...(stage.starts.get(grant.messageId) ?? []), wallMs()]);
        return Promise.resolve(stage.settlement(grant));
      },
    });
  });
  for (const worker of workers) await worker.start();
  try {
    context.step('20 idle workers, no timers');
    const idleCalls = await plain(stage, messages);
    context.step('pair gaps');
    const gaps = await pairGaps(stage, Math.ceil(messages / 3));
    context.step('retries');
    const again = await retries(stage, messages);
    context.step('sendAt');
    const kinds = [gaps, again, await schedules(stage, messages)];
    const all = kinds.flatMap(({ lateMs }) => lateMs);
    const [p99, earliest] = [quantile(all, 0.99), Math.min(...all)];
    const calls = Math.max(idleCalls, ...kinds.map(({ callsPerMessage }) => callsPerMessage));
    return {
      figures: [
        {
          what: 'pair gap, retry or `sendAt` due → handler, with 20 workers (no HTTP)',
          floor: 'p99 ≤ 20 ms late, never early',
          aim: '5 ms',
          reached: `p50 ${ms(quantile(all, 0.5))}, p99 ${ms(p99)} late; ${all.filter((late) => late < -EARLY_MS).length} of ${all.length} early`,
          isMet: p99 <= 20 && earliest >= -EARLY_MS,
        },
        {
          what: 'script calls per message with 20 idle workers (heartbeats apart): no timer · the most with timers',
          floor: '≤ 5',
          aim: '',
          reached: `${idleCalls.toFixed(1)} · ${calls.toFixed(1)}`,
          isMet: calls <= 5,
        },
      ],
      tables: [
        {
          title: 'Lateness of timers with 20 workers and one accepting process, appendfsync always',
          columns: ['due → handler', 'samples', 'p50', 'p99', 'max', 'earliest', 'script calls/message'],
          rows: [
            ...kinds.map(({ label, lateMs, callsPerMessage }) => [
              label,
              String(lateMs.length),
              ...[0.5, 0.99, 1, 0].map((share) => ms(quantile(lateMs, share))),
              callsPerMessage.toFixed(1),
            ]),
            ['no timer', String(messages), '–', '–', '–', '–', idleCalls.toFixed(1)],
          ],
        },
      ],
      charts: [],
      data: { kinds: kinds.map((kind) => ({ ...kind, lateMs: summary(kind.lateMs) })), idleCalls },
    };
  } finally {
    for (const worker of workers) await worker.close();
    queue.close();
    await redis.stop();
  }
}

export const timers: Section = { name: 'timers', steps: () => 4, run };
