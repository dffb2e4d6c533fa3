const RENEW_AFTER_MS = 5000;

interface HandOver {
  readonly sinceMs: number;
  /** When this worker asked for it; `undefined` = it came through the mailbox. */
  readonly askedAtMs: number | undefined;
  /** Messages of it that are not settled. */
  open: number;
}

/** The hand-overs in a worker's hands, by stream entry: from their arrival until the last message of each is settled. */
export class Held {
  readonly #handOvers = new Map<string, HandOver>();

  readonly has = (entry: string): boolean => this.#handOvers.has(entry);

  add(entry: string, messages: number, askedAtMs?: number): void {
    this.#handOvers.set(entry, { sinceMs: performance.now(), askedAtMs, open: messages });
  }

  /** When the worker asked for it, on the monotonic clock; `undefined` = it came through the mailbox, or is not held. */
  askedAtMs(entry: string): number | undefined {
    return this.#handOvers.get(entry)?.askedAtMs;
  }

  settledOne(entry: string): void {
    const handOver = this.#handOvers.get(entry);
    if (handOver === undefined) return;
    handOver.open -= 1;
    if (handOver.open <= 0) this.#handOvers.delete(entry);
  }

  drop(entry: string): void {
    this.#handOvers.delete(entry);
  }

  /** Those that are worked on for so long that their leases are to be renewed. */
  toRenew(): string[] {
    const before = performance.now() - RENEW_AFTER_MS;
    return [...this.#handOvers].filter(([, { sinceMs }]) => sinceMs <= before).map(([entry]) => entry);
  }
}
