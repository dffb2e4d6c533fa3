import { hash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { SenderLimits, TenantLimits } from '../../src/engine/contract.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import type { MessageBody } from '../../src/model/message.ts';
import { newId } from '../../src/util/ids.ts';
import { BenchWorker } from '../engine-worker.ts';
import { atOnce, type LoadMessage } from '../load.ts';
import type { AcceptPlan, Contestant, DrainPlan } from './contestant.ts';

export const SENDER = '104823459991';

/** Every limit is on and its code runs; the rate is so high that none of them makes a message wait. */
export const OPEN_LIMITS: SenderLimits = {
  sender: SENDER,
  shard: 0,
  ratePerSecond: 1_000_000,
  burst: 1000,
  concurrency: 1000,
  pairGapMs: 0,
  pairBucketCapacity: 45,
  pairBucketRefillPerSecond: 1 / 6,
};
export const TENANT_LIMITS: TenantLimits = { concurrency: 10, weight: 1, backlogMax: 10_000_000 };

export interface EngineOptions {
  readonly name: string;
  readonly limits?: Partial<SenderLimits>;
}

/** Our engine: single accepts that one tick joins, and a worker with `begin` before every send. */
export class EngineContestant implements Contestant {
  readonly name: string;
  readonly #limits: SenderLimits;
  #queue: RedisSendQueue | undefined;
  #url = '';

  constructor({ name, limits }: EngineOptions) {
    this.name = name;
    this.#limits = { ...OPEN_LIMITS, ...limits };
  }

  async open(url: string): Promise<void> {
    this.#url = url;
    this.#queue = new RedisSendQueue({ redis: { url, db: 0 }, shards: 1, commandTimeoutMs: 20_000 });
    await this.#queue.connect();
    await this.#queue.configureSender(this.#limits);
  }

  async accept({ from, count, places, mode, message }: AcceptPlan): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) throw new Error('open() first');
    await atOnce(count, places, async (index) => await acceptOne(queue, message(index), mode === 'keyed'), from);
  }

  async drain({ count, places, handle }: DrainPlan): Promise<number> {
    const worker = new BenchWorker({
      url: this.#url,
      name: `w${newId()}`,
      slots: places,
      handle: async (grant) => {
        const body = JSON.parse(grant.body ?? '') as MessageBody;
        await handle({ conversation: grant.lane.conversation, index: Number(body.metadata?.['booking']) });
      },
    });
    await delay(20); // its connections open meanwhile
    const startedAt = performance.now();
    await worker.start();
    await worker.settledCount(count);
    const tookMs = performance.now() - startedAt;
    await worker.close();
    return tookMs;
  }

  close(): Promise<void> {
    this.#queue?.close();
    return Promise.resolve();
  }
}

/** Accepts as `messages/` does: a new id, the body as JSON, and with a key a digest of what was asked for. */
export async function acceptOne(
  queue: RedisSendQueue,
  { index, tenant, conversation, body }: LoadMessage,
  keyed: boolean,
  more: { sender?: string; priority?: number; sendAtMs?: number } = {},
): Promise<string> {
  const id = newId();
  const text = JSON.stringify(body);
  const result = await queue.accept({
    id,
    lane: { sender: more.sender ?? SENDER, tenant, conversation },
    contact: body.to ?? conversation,
    priority: more.priority ?? 5,
    ...(more.sendAtMs === undefined ? {} : { sendAtMs: more.sendAtMs }),
    ...(keyed ? { idempotency: { key: `booking-${index}`, bodyDigest: hash('sha256', text, 'buffer') } } : {}),
    body: text,
    tenantLimits: TENANT_LIMITS,
  });
  if (result.kind !== 'accepted') throw new Error(`message ${index} was not accepted: ${result.kind}`);
  return id;
}
