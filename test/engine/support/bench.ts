import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { RedisTarget } from '../../../src/engine/connection.ts';
import type { Grant, NewMessage, SenderLimits, Settlement, TenantLimits } from '../../../src/engine/contract.ts';
import type { EngineOptions } from '../../../src/engine/options.ts';
import { RedisSendQueue } from '../../../src/engine/queue.ts';
import type { WallClock } from '../../../src/engine/script-runner.ts';
import { WorkerLink } from '../../../src/engine/worker-link.ts';
import type { Lane } from '../../../src/model/message.ts';
import { newId } from '../../../src/util/ids.ts';
import { queuePlace, type QueuePlace } from '../../support/queue-place.ts';
import type { TestRedis } from '../../support/services.ts';

/*
 * What an engine test stands on: a queue, workers whose provider is a function, and a ledger of what reached it.
 */

/** One call to the provider, on the process's monotonic clock. */
export interface Attempt {
  readonly worker: string;
  readonly grant: Grant;
  readonly startMs: number;
  endMs: number | null;
}

export type Provider = (grant: Grant) => Settlement | Promise<Settlement>;

export const SENT: Settlement = { kind: 'sent', providerMessageId: 'wamid.1' };
export const FAILURE = {
  code: 'PROVIDER_REJECTED',
  providerCode: '131026',
  title: 'Undeliverable',
  detail: 'No.',
  retryable: false,
} as const;

export const FREE_SENDER: SenderLimits = {
  sender: 's1',
  shard: 0,
  ratePerSecond: 0,
  burst: 1,
  concurrency: 1000,
  pairGapMs: 0,
  pairBucketCapacity: 0,
  pairBucketRefillPerSecond: 0,
};
export const FREE_TENANT: TenantLimits = { concurrency: 1000, weight: 1, backlogMax: 1_000_000 };

export interface MessageWish {
  readonly id?: string;
  readonly sender?: string;
  readonly tenant?: string;
  readonly conversation?: string;
  readonly contact?: string;
  readonly priority?: number;
  readonly sendAtMs?: number;
  readonly expiresAtMs?: number;
  readonly key?: string;
  readonly text?: string;
  readonly template?: string;
  readonly limits?: Partial<TenantLimits>;
}

export function message(wish: MessageWish = {}): NewMessage {
  const { sender = 's1', tenant = 't1', conversation = 'c1', text = 'hello' } = wish;
  const body = JSON.stringify({
    ...(wish.template && { template: wish.template }),
    type: 'text',
    content: { body: text },
    createdAtMs: 0,
  });
  return {
    id: wish.id ?? newId(),
    lane: { sender, tenant, conversation },
    contact: wish.contact ?? `contact of ${tenant} ${conversation}`,
    priority: wish.priority ?? 5,
    ...(wish.sendAtMs === undefined ? {} : { sendAtMs: wish.sendAtMs }),
    ...(wish.expiresAtMs === undefined ? {} : { expiresAtMs: wish.expiresAtMs }),
    ...(wish.key === undefined
      ? {}
      : { idempotency: { key: wish.key, bodyDigest: createHash('sha256').update(text).digest() } }),
    body,
    tenantLimits: { ...FREE_TENANT, ...wish.limits },
  };
}

/** What the queue and its workers are told; without a clock, Redis's own. */
export type BenchOptions = Partial<EngineOptions> & { readonly clock?: WallClock };

export class Bench {
  readonly queue: RedisSendQueue;
  /** For looks at the keys and for breaking things. */
  readonly client: Redis;
  readonly ledger: Attempt[] = [];
  readonly links: WorkerLink[] = [];
  readonly #place: QueuePlace;
  readonly #engine: BenchOptions;
  readonly #watchers = new Set<() => void>();

  private constructor(place: QueuePlace, client: Redis, engine: BenchOptions) {
    this.#place = place;
    this.#engine = engine;
    this.client = client;
    this.queue = new RedisSendQueue({ redis: place.target, shards: place.shards, ...engine });
  }

  /** An empty Redis, a queue on it, and the sender `s1` with the given limits. */
  static async open(redis: TestRedis, limits: Partial<SenderLimits> = {}, engine: BenchOptions = {}): Promise<Bench> {
    const place = await queuePlace(redis);
    const bench = new Bench(place, await place.connect(), engine);
    await bench.client.flushall();
    await bench.queue.connect();
    await bench.queue.configureSender({ ...FREE_SENDER, ...limits });
    return bench;
  }

  get target(): RedisTarget {
    return this.#place.target;
  }

  /** A worker whose provider answers as told; without one it holds for ever what it was handed. */
  async worker(name: string, provider: Provider = () => SENT, slots = 100): Promise<WorkerLink> {
    const link = new WorkerLink({
      ...this.#engine,
      redis: this.#place.target,
      shard: 0,
      worker: name,
      slots,
      onGrants: (grants) => void this.#attend(link, name, grants, provider),
    });
    this.links.push(link);
    await link.start();
    return link;
  }

  async accept(wish: MessageWish = {}): Promise<NewMessage> {
    const one = message(wish);
    const result = await this.queue.accept(one);
    if (result.kind !== 'accepted') throw new Error(`not accepted but ${result.kind}`);
    return one;
  }

  /** Resolves when the ledger satisfies the claim; looked at whenever an attempt starts or ends. */
  async until(claim: (ledger: readonly Attempt[]) => boolean, what: string, timeoutMs = 10_000): Promise<void> {
    if (claim(this.ledger)) return;
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!claim(this.ledger)) return;
        this.#watchers.delete(look);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.#watchers.delete(look);
        reject(new Error(`waited ${timeoutMs} ms in vain for ${what}; ${this.ledger.length} attempts were made`));
      }, timeoutMs);
      this.#watchers.add(look);
    });
  }
  /** Resolves when so many attempts have been settled. */
  settled(count: number, timeoutMs = 10_000): Promise<void> {
    return this.until(
      (ledger) => ledger.filter(({ endMs }) => endMs !== null).length >= count,
      `${count} settled attempts`,
      timeoutMs,
    );
  }
  started(count: number, timeoutMs = 10_000): Promise<void> {
    return this.until((ledger) => ledger.length >= count, `${count} started attempts`, timeoutMs);
  }

  ids(): string[] {
    return this.ledger.map(({ grant }) => grant.messageId);
  }

  async close(): Promise<void> {
    for (const link of this.links) await link.close();
    this.queue.close();
    this.client.disconnect();
  }

  async #attend(link: WorkerLink, worker: string, grants: Grant[], provider: Provider): Promise<void> {
    const [first] = grants;
    if (first === undefined) return;
    if (!(await link.begin(first.entry))) {
      for (const grant of grants) void link.settle({ grant, settlement: { kind: 'unstarted' }, report: null });
      return;
    }
    await Promise.all(grants.map((grant) => this.#attempt(link, worker, grant, provider)));
  }

  async #attempt(link: WorkerLink, worker: string, grant: Grant, provider: Provider): Promise<void> {
    const attempt: Attempt = { worker, grant, startMs: performance.now(), endMs: null };
    this.ledger.push(attempt);
    this.#look();
    const settlement = await provider(grant);
    const endMs = performance.now();
    await link.settle({ grant, settlement, report: null });
    attempt.endMs = endMs;
    this.#look();
  }

  #look(): void {
    for (const watch of this.#watchers) watch();
  }
}

/** Most attempts under way at once among those that the filter keeps. */
export function mostAtOnce(ledger: readonly Attempt[], keep: (attempt: Attempt) => boolean = () => true): number {
  const changes = ledger.filter(keep).flatMap(({ startMs, endMs }) => [
    { at: startMs, by: 1 },
    { at: endMs ?? Number.POSITIVE_INFINITY, by: -1 },
  ]);
  changes.sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  return changes.reduce((most, { by }) => Math.max(most, (now += by)), 0);
}

/**
 * When the engine handed the attempt over, by its own clock: the time in the stream entry, whole milliseconds.
 * Limits count from here; `startMs` comes later, by as much as this process was busy, so two starts may be nearer
 * together than two grants.
 */
export function grantedMs({ grant }: Attempt): number {
  return Number(grant.entry.split('-')[0]);
}

/** Times of all grants, in order. */
export function grants(ledger: readonly Attempt[]): number[] {
  return ledger.map(grantedMs).sort((a, b) => a - b);
}

/** Most grants within any window of this length. */
export function mostGrants(ledger: readonly Attempt[], windowMs: number): number {
  const times = grants(ledger);
  return Math.max(...times.map((from) => times.filter((at) => at >= from && at < from + windowMs).length));
}

export function laneOf({ sender, tenant, conversation }: Lane): string {
  return `${sender}|${tenant}|${conversation}`;
}

/** Ids of each conversation in the order of their first, or their successful, attempts. */
export function byConversation(attempts: readonly Attempt[]): Map<string, string[]> {
  const lanes = new Map<string, string[]>();
  for (const { grant } of attempts) {
    const lane = laneOf(grant.lane);
    lanes.set(lane, [...(lanes.get(lane) ?? []), grant.messageId]);
  }
  return lanes;
}

/** A provider that takes its time, by real timers: the time is part of what is tested. */
export function slow(ms: number | (() => number), settlement: Settlement = SENT): Provider {
  return () => new Promise((resolve) => setTimeout(() => resolve(settlement), typeof ms === 'number' ? ms : ms()));
}

/** Never answers. */
export const SILENT: Provider = () => new Promise<Settlement>(() => undefined);
