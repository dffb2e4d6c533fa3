import type { Brake, SenderLimits } from '../engine/contract.ts';

/** What pacing must know of a message that is sent past the queue. */
export interface Paced {
  readonly sender: string;
  readonly tenant: string;
  /** The contact in its canonical form: with the sender it is the pair. */
  readonly contact: string;
  readonly limits: Omit<SenderLimits, 'sender' | 'shard'>;
  /** Attempts of the tenant in flight at once on this sender. */
  readonly tenantConcurrency: number;
}

interface PairState {
  busy: boolean;
  nextAtMs: number;
  bucketTatMs: number;
  /** How often in a row the provider has limited it. */
  limits: number;
}
interface SenderState {
  inFlight: number;
  /** The rate at which `tatMs` was reckoned. */
  ratePerSecond: number;
  tatMs: number;
  holdUntilMs: number;
  slowRate: number | null;
  slowAtMs: number;
  circuitUntilMs: number | null;
}

/** As LIMITS_KEPT_MS in engine/lua/includes/pair.lua: a limit after a longer silence is the first of another row. */
const LIMITS_KEPT_MS = 64_000;
/** Pairs that are free again are forgotten when there are more than this. */
const PAIRS_MAX = 10_000;

/**
 * The engine's limits for one process: pair gap and bucket, sender rate, caps of sender and tenant, brakes, circuit.
 * The same rules as the scripts, but nothing of it is shared or survives the process. All times monotonic, ms.
 */
export class DirectPace {
  readonly #pairs = new Map<string, PairState>();
  readonly #senders = new Map<string, SenderState>();
  readonly #tenants = new Map<string, number>();

  /** 0: it may start now; else when to ask again; null: when some attempt has ended. */
  waitMs(one: Paced, now: number): number | null {
    const sender = this.#paced(one, now);
    const pair = this.#pair(one);
    const { limits } = one;
    if (pair.busy || sender.inFlight >= limits.concurrency) return null;
    if ((this.#tenants.get(tenantKey(one)) ?? 0) >= one.tenantConcurrency) return null;
    // After its time an open circuit lets a single probe through.
    if (sender.circuitUntilMs !== null && sender.circuitUntilMs <= now && sender.inFlight > 0) return null;
    const { pairBucketCapacity: capacity } = limits;
    const bucketAt = capacity > 0 ? pair.bucketTatMs - (capacity - 1) * tokenMs(one) : 0;
    const rateAt = limits.ratePerSecond > 0 ? sender.tatMs - ((limits.burst - 1) * 1000) / limits.ratePerSecond : 0;
    const at = Math.max(pair.nextAtMs, bucketAt, rateAt, sender.holdUntilMs, sender.circuitUntilMs ?? 0);
    return Math.max(0, Math.ceil(at - now));
  }

  start(one: Paced, now: number): void {
    const sender = this.#paced(one, now);
    const pair = this.#pair(one);
    sender.inFlight += 1;
    this.#tenants.set(tenantKey(one), (this.#tenants.get(tenantKey(one)) ?? 0) + 1);
    if (one.limits.ratePerSecond > 0) sender.tatMs = Math.max(sender.tatMs, now) + 1000 / this.#rate(sender, one, now);
    pair.busy = true;
    if (one.limits.pairBucketCapacity > 0) pair.bucketTatMs = Math.max(pair.bucketTatMs, now) + tokenMs(one);
  }

  /** @param wasSent the provider took it */
  end(one: Paced, now: number, wasSent: boolean, brake?: Brake): void {
    const sender = this.#sender(one.sender);
    const pair = this.#pair(one);
    sender.inFlight -= 1;
    const running = (this.#tenants.get(tenantKey(one)) ?? 1) - 1;
    if (running > 0) this.#tenants.set(tenantKey(one), running);
    else this.#tenants.delete(tenantKey(one));
    pair.busy = false;
    if (pair.nextAtMs + LIMITS_KEPT_MS <= now) pair.limits = 0;
    pair.limits = brake?.on === 'pair' ? pair.limits + 1 : wasSent ? 0 : pair.limits;
    const asked = brake?.on === 'pair' ? (brake.waitsMs[pair.limits - 1] ?? brake.waitsMs.at(-1) ?? 0) : 0;
    pair.nextAtMs = Math.max(pair.nextAtMs, now + Math.max(one.limits.pairGapMs, asked));
    if (brake?.on === 'sender-rate') {
      sender.slowRate = Math.max(this.#rate(sender, one, now) / 2, one.limits.ratePerSecond / 64);
      sender.slowAtMs = now;
      sender.holdUntilMs = Math.max(sender.holdUntilMs, now + brake.waitMs);
    }
    if (this.#pairs.size > PAIRS_MAX) this.#forgetFreePairs(now);
  }

  openCircuit(sender: string, untilMs: number): void {
    this.#sender(sender).circuitUntilMs = untilMs;
  }
  closeCircuit(sender: string): void {
    this.#sender(sender).circuitUntilMs = null;
  }
  /** Until when the sender's circuit is open; null = closed. */
  circuitUntilMs(sender: string): number | null {
    return this.#sender(sender).circuitUntilMs;
  }

  /** The queue has sent to this pair before: not earlier than it allows. */
  holdPair(one: Paced, untilMs: number): void {
    const pair = this.#pair(one);
    pair.nextAtMs = Math.max(pair.nextAtMs, untilMs);
  }

  #rate(sender: SenderState, { limits }: Paced, now: number): number {
    if (sender.slowRate === null) return limits.ratePerSecond;
    const rate = sender.slowRate + (limits.ratePerSecond * (now - sender.slowAtMs)) / 50_000;
    if (rate < limits.ratePerSecond) return rate;
    sender.slowRate = null;
    return limits.ratePerSecond;
  }

  /** The sender at the rate of this message: what it is behind by is tokens, and their time is that of the new rate. */
  #paced({ sender: id, limits: { ratePerSecond } }: Paced, now: number): SenderState {
    const sender = this.#sender(id);
    const behindMs = Math.max(0, sender.tatMs - now);
    if (behindMs > 0 && ratePerSecond !== sender.ratePerSecond) {
      sender.tatMs = ratePerSecond > 0 ? now + (behindMs * sender.ratePerSecond) / ratePerSecond : now;
    }
    sender.ratePerSecond = ratePerSecond;
    return sender;
  }

  #sender(id: string): SenderState {
    let state = this.#senders.get(id);
    if (state === undefined) {
      state = {
        inFlight: 0,
        ratePerSecond: 0,
        tatMs: 0,
        holdUntilMs: 0,
        slowRate: null,
        slowAtMs: 0,
        circuitUntilMs: null,
      };
      this.#senders.set(id, state);
    }
    return state;
  }

  #pair({ sender, contact }: Paced): PairState {
    const key = `${sender}|${contact}`;
    let state = this.#pairs.get(key);
    if (state === undefined) {
      state = { busy: false, nextAtMs: 0, bucketTatMs: 0, limits: 0 };
      this.#pairs.set(key, state);
    }
    return state;
  }

  #forgetFreePairs(now: number): void {
    for (const [key, { busy, nextAtMs, bucketTatMs, limits }] of this.#pairs) {
      const heldUntilMs = limits > 0 ? nextAtMs + LIMITS_KEPT_MS : nextAtMs;
      if (!busy && heldUntilMs <= now && bucketTatMs <= now) this.#pairs.delete(key);
    }
  }
}

function tenantKey({ sender, tenant }: Paced): string {
  return `${sender}|${tenant}`;
}

function tokenMs({ limits }: Paced): number {
  return limits.pairBucketRefillPerSecond > 0 ? 1000 / limits.pairBucketRefillPerSecond : 0;
}
