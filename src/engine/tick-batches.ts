export interface TickBatchesOptions<Item> {
  /** Items of one call. */
  readonly batchMax: number;
  /** Calls under way at once; what comes meanwhile waits, and goes in one. */
  readonly callsMax: number;
  /** Makes one call. Must not reject: what becomes of an item is told to who added it. */
  readonly call: (batch: readonly Item[]) => Promise<void>;
}

/** Joins what is added in one tick into calls. */
export class TickBatches<Item> {
  readonly #options: TickBatchesOptions<Item>;
  readonly #waiting: Item[] = [];
  #scheduled = false;
  #underWay = 0;

  constructor(options: TickBatchesOptions<Item>) {
    this.#options = options;
  }

  add(item: Item): void {
    this.#waiting.push(item);
    if (this.#waiting.length >= this.#options.batchMax) {
      this.#flush();
    } else if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#flush();
      });
    }
  }

  /** Takes back all that no call has taken yet. */
  takeBack(): Item[] {
    return this.#waiting.splice(0);
  }

  #flush(): void {
    const { batchMax, callsMax, call } = this.#options;
    if (this.#waiting.length === 0 || this.#underWay >= callsMax) return;
    const batch = this.#waiting.splice(0, batchMax);
    this.#underWay += 1;
    void call(batch).finally(() => {
      this.#underWay -= 1;
      // What could not go because of those under way.
      if (this.#waiting.length >= batchMax || !this.#scheduled) this.#flush();
    });
  }
}
