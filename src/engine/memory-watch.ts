import { mastersOf, type RedisClient } from './connection.ts';
import { parseInfo } from './safety.ts';

/** Above this share of `maxmemory` nothing is accepted: what is left is for sending and recording what is there. */
const ACCEPT_SHARE_MAX = 0.9;
/** A figure this old is asked for again, by the next accept and beside it: accepting never waits for it. */
const FRESH_MS = 1000;

/** Knows how full a Redis is, while messages are being accepted. */
export class MemoryWatch {
  readonly #client: RedisClient;
  #isFull = false;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(client: RedisClient) {
    this.#client = client;
  }

  /** As of the last look, at most a second or one accept ago. Always false without a `maxmemory`. */
  isFull(): boolean {
    const now = performance.now();
    if (now - this.#askedAtMs >= FRESH_MS) {
      this.#askedAtMs = now;
      void this.#look();
    }
    return this.#isFull;
  }

  async #look(): Promise<void> {
    try {
      const looks = mastersOf(this.#client).map(async (node) => parseInfo(await node.info('memory')));
      // One full master of a cluster refuses its shards; which those are changes, so all wait for room.
      this.#isFull = (await Promise.all(looks)).some((info) => {
        const max = Number(info['maxmemory'] ?? 0);
        return max > 0 && Number(info['used_memory'] ?? 0) > max * ACCEPT_SHARE_MAX;
      });
    } catch {
      // Redis is away; the accept itself tells that.
    }
  }
}
