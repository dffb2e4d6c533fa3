import type { RedisClient } from '../../engine/connection.ts';
import { LIVE_KEY_LETTERS, shardPrefix } from '../../engine/keys.ts';

/** Counts are written this often at most; figures of the dashboard are late by it. */
const FLUSH_MS = 200;
/** Senders with a count of their own in one process; bounds what is kept while Redis is away. */
const FIELDS_MAX = 5000;

/**
 * What workers and recorders of all processes did, added up in one hash of Redis: what the engine does not count itself
 * (deliveries, failures that statuses report, sends by sender). A few additions per second and process, whatever the
 * traffic. A process that dies loses its last moment: this feeds rates and alerts, the record has the truth.
 */
export class LiveTotals {
  readonly #pending = new Map<string, number>();
  #client: RedisClient | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Before it, counts are kept and written later. */
  connect(client: RedisClient): void {
    this.#client = client;
  }

  /** @param field `delivered`, `undelivered`, `undelivered:final` or `sent:<sender>` */
  count(field: string, by = 1): void {
    if (this.#pending.size >= FIELDS_MAX && !this.#pending.has(field)) return;
    this.#pending.set(field, (this.#pending.get(field) ?? 0) + by);
    this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS).unref();
  }

  /**
   * For what is rare and whose sum is asked for, not its rate: written in this tick, with all that is pending. A process
   * that dies between the commit of the record and this still loses it; the two have no transaction in common.
   */
  countNow(field: string, by = 1): void {
    this.count(field, by);
    if (this.#client?.status !== 'ready') return;
    clearTimeout(this.#timer);
    void this.#flush();
  }

  /** @throws when Redis cannot be reached */
  async read(): Promise<ReadonlyMap<string, number>> {
    const flat = (await this.#client?.hgetall(KEY)) ?? {};
    return new Map(Object.entries(flat).map(([field, value]) => [field, Number(value)]));
  }

  /** One of them; 0 = nothing was counted yet. @throws when Redis cannot be reached */
  async one(field: string): Promise<number> {
    return Number((await this.#client?.hget(KEY, field)) ?? 0);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    if (this.#client?.status !== 'ready') {
      this.#timer = setTimeout(() => void this.#flush(), FLUSH_MS * 5).unref();
      return;
    }
    const counts = [...this.#pending];
    this.#pending.clear();
    const pipeline = this.#client.pipeline();
    for (const [field, by] of counts) pipeline.hincrby(KEY, field, by);
    // Lost when the connection breaks right now: written twice would be a peak that never was.
    await pipeline.exec().catch(() => null);
  }
}

const KEY = `${shardPrefix(0)}${LIVE_KEY_LETTERS.totals}`;
