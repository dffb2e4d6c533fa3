/** Evictions that are remembered while the server is away; past this everything is reset instead. */
const PENDING_MAX = 10_000;

/** Evicts the names, or everything by `reset`. @returns how much is left; `evict` leaves nothing, whatever it returns */
export type EvictingCall = (
  script: 'evict' | 'evictTags' | 'reset',
  names: readonly string[],
) => Promise<number | string>;

/** Evictions that the server has not heard of: it was away, or refused them because it was full. */
export class PendingEvictions {
  readonly #keys = new Set<string>();
  readonly #tags = new Set<string>();
  #isReset = false;

  addKeys(keys: readonly string[]): void {
    for (const key of keys) this.#keys.add(key);
    this.#bound();
  }

  addTags(tags: readonly string[]): void {
    for (const tag of tags) this.#tags.add(tag);
    this.#bound();
  }

  addReset(): void {
    this.#isReset = true;
  }

  /** Makes up for all of them. @throws what `call` throws; what is not done then stays pending */
  async replay(call: EvictingCall, namesMax: number): Promise<void> {
    while (this.#isReset) {
      if ((await call('reset', [])) === 0) this.#isReset = false;
    }
    for (const [script, pending] of [
      ['evict', this.#keys],
      ['evictTags', this.#tags],
    ] as const) {
      while (pending.size > 0) {
        const some = [...pending].slice(0, namesMax);
        const left = await call(script, some);
        if (script === 'evict' || left === 0) for (const one of some) pending.delete(one);
      }
    }
  }

  #bound(): void {
    if (this.#keys.size + this.#tags.size <= PENDING_MAX) return;
    this.#keys.clear();
    this.#tags.clear();
    this.addReset();
  }
}
