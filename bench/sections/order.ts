import { setTimeout as delay } from 'node:timers/promises';
import { BullmqContestant } from '../contestants/bullmq.ts';
import type { Contestant } from '../contestants/contestant.ts';
import { EngineContestant } from '../contestants/engine.ts';
import { GroupmqContestant } from '../contestants/groupmq.ts';
import { RawContestant } from '../contestants/raw.ts';
import { loadMessage } from '../load.ts';
import type { BenchRedis } from '../redis.ts';
import type { BenchContext, Table } from '../section.ts';

const MAKERS: readonly [label: string, make: () => Contestant][] = [
  ['Waxwing', () => new EngineContestant({ name: 'Waxwing' })],
  ['GroupMQ', () => new GroupmqContestant()],
  ['BullMQ', () => new BullmqContestant('BullMQ')],
  ['raw stream', () => new RawContestant()],
];
export const ORDER_STEPS = MAKERS.length;

/** Conversations get this many messages in a row: with one each, nobody could get them wrong. */
const RUN = 10;

export interface OrderCount {
  readonly label: string;
  readonly messages: number;
  /** Messages that reached the provider while, or after, a later one of their conversation did. */
  readonly outOfOrder: number;
}

/** Sends through a provider that takes 5 to 45 ms and counts what arrives beside its turn. */
export async function measureOrder(redis: BenchRedis, context: BenchContext): Promise<OrderCount[]> {
  const messages = context.isQuick ? Math.min(500, context.messages) : 2000;
  const counts: OrderCount[] = [];
  for (const [label, make] of MAKERS) {
    context.step(`order: ${label}`);
    await redis.clear();
    const contestant = make();
    await contestant.open(redis.url);
    const shape = { conversations: Math.ceil(messages / RUN), tenants: 50, run: RUN };
    // One at a time: what the order is must be beyond doubt.
    await contestant.accept({
      from: 0,
      count: messages,
      places: 1,
      mode: 'single',
      message: (index) => loadMessage(index, shape),
    });
    const next = new Map<string, number>();
    let outOfOrder = 0;
    await contestant.drain({
      count: messages,
      places: 50,
      handle: async ({ conversation, index }) => {
        // Its turn is right when every earlier one of the conversation has been answered.
        const first = Number(conversation.slice(1)) * RUN;
        if (index !== (next.get(conversation) ?? first)) outOfOrder += 1;
        await delay(5 + Math.random() * 40);
        next.set(conversation, Math.max(next.get(conversation) ?? first, index + 1));
      },
    });
    await contestant.close();
    counts.push({ label, messages, outOfOrder });
  }
  return counts;
}

export function orderTable(counts: readonly OrderCount[]): Table {
  return {
    title: `Order: ten messages in a row per conversation, a provider of 5 to 45 ms, 50 at once`,
    columns: ['', 'messages', 'out of order'],
    rows: counts.map(({ label, messages, outOfOrder }) => [label, String(messages), String(outOfOrder)]),
  };
}
