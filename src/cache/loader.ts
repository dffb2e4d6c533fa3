import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { freeze, headerOf } from './entry.ts';
import type { Flight } from './flights.ts';
import type { Found } from './found.ts';
import { type CachePolicy, isRetryable, jittered } from './policy.ts';
import type { RedisLink } from './redis-link.ts';
import type { ValueStore } from './value-store.ts';

/** A value that somebody asks for, and how it is come by. */
export interface Wanted {
  /** Of `storedKey()`. */
  readonly key: string;
  readonly policy: CachePolicy;
  readonly load: () => Promise<unknown>;
  readonly tags: readonly string[];
}

/** The right to compute a value for all processes. */
interface Lease {
  readonly token: string;
  /** Evictions of its tags so far: when there are more by the end, the value is not kept. */
  readonly gens: string;
  /** Text of the entry that is past its time; '' = there is none. */
  readonly old: string;
}

/** A process that computes renews its lease; one that died is replaced after this time. */
const LEASE_MS = 4000;
/** Longest wait for another process's computation; then this one computes too, and does not keep the result. */
const WAIT_MAX_MS = 10_000;

/** Finds values that memory does not have: in Redis, else from their source, computed by one process for all. */
export class Loader {
  readonly #store: ValueStore;
  readonly #link: RedisLink | null;
  readonly #random: () => number;

  /** @param random 0 … 1, for the jitter */
  constructor(store: ValueStore, link: RedisLink | null, random: () => number) {
    this.#store = store;
    this.#link = link;
    this.#random = random;
  }

  /** @throws what `load` throws */
  async find(wanted: Wanted, flight: Flight): Promise<Found> {
    const { key, policy, tags } = wanted;
    const read = await this.#store.read(key, policy, flight);
    if (read !== undefined) return { value: read, source: 'redis' };
    const link = this.#link;
    const token = randomBytes(9).toString('base64url');
    const giveUpMs = performance.now() + WAIT_MAX_MS;
    for (let pauseMs = 4; link?.isUp === true; pauseMs = Math.min(100, pauseMs * 1.5)) {
      const header = headerOf(policy.version ?? '1', link.serverRun);
      const reply = await link.run<[string, string, string]>('lease', key, token, LEASE_MS, header, ...tags);
      if (reply === undefined) break;
      const [text, kind, gens] = reply;
      if (kind === 'fresh') {
        const value = await this.#store.take(key, text, header, policy, flight);
        if (value !== undefined) return { value, source: 'redis' };
        continue; // It could not be read and is gone now.
      }
      if (kind === 'lease') return this.#compute(wanted, flight, { token, gens, old: text });
      if (performance.now() > giveUpMs) break;
      await delay(pauseMs);
    }
    return this.#compute(wanted, flight, null);
  }

  /** Computes, with a lease or without; only with one the result is kept for others. */
  async #compute(wanted: Wanted, flight: Flight, lease: Lease | null): Promise<Found> {
    const { key, policy, tags } = wanted;
    const renewal =
      lease === null
        ? undefined
        : setInterval(() => void this.#link?.run('renew', key, lease.token, LEASE_MS), LEASE_MS / 3).unref();
    try {
      const value = await wanted.load();
      const ttlSeconds = value === null ? (policy.nullTtlSeconds ?? 0) : policy.ttlSeconds;
      const json = toJson(value);
      if (ttlSeconds <= 0 || json === undefined) {
        await this.#giveBack(key, lease);
        return { value: json === undefined ? value : freeze(JSON.parse(json)), source: 'computed' };
      }
      const ttlMs = jittered(ttlSeconds, this.#random());
      const copy = freeze(JSON.parse(json) as unknown);
      const isKept =
        lease === null
          ? this.#link === null
          : await this.#store.fill(key, { ...lease, announce: false, json, ttlMs }, policy, tags);
      if (isKept && !flight.isVoid) this.#store.remember(key, copy, json.length, ttlMs, policy, tags);
      return { value: copy, source: 'computed' };
    } catch (error) {
      await this.#giveBack(key, lease);
      const isDown = (policy.isSourceDown ?? isRetryable)(error);
      const old = isDown && !flight.isVoid ? this.#store.stale(key, lease?.old ?? '', policy, tags) : undefined;
      if (old === undefined) throw error;
      return { value: old, source: 'stale' };
    } finally {
      clearInterval(renewal);
    }
  }

  async #giveBack(key: string, lease: Lease | null): Promise<void> {
    if (lease !== null) await this.#link?.run('drop', 'lock', key, lease.token);
  }
}

function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined; // A circle, a bigint: it is handed on and not kept.
  }
}
