interface Waiter {
  /** Reads of the log that had begun when it was asked; only a later one can answer. */
  readonly read: number;
  readonly done: (caughtUp: boolean) => void;
}

/** Knows whether everything in the log is recorded, and tells those who wait for it. */
export class CatchUp {
  readonly #waiters = new Set<Waiter>();
  #reads = 0;
  #isDone = false;

  /** Did the last read find everything recorded? */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** @returns the number of the read, for `endRead()` */
  beginRead(): number {
    this.#reads += 1;
    return this.#reads;
  }

  /** @param everything what was read is recorded, and there was no more */
  endRead(read: number, everything: boolean): void {
    this.#isDone = everything;
    if (!everything) return;
    for (const waiter of this.#waiters) if (waiter.read < read) waiter.done(true);
  }

  /** Something failed: only the next read will tell. */
  interrupt(): void {
    this.#isDone = false;
  }

  /** True when everything that is in the log now is recorded; false after `timeoutMs`, or after `giveUp()`. */
  wait(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter = {
        read: this.#reads,
        done: (caughtUp: boolean) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          resolve(caughtUp);
        },
      };
      const timer = setTimeout(() => waiter.done(false), timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  /** Nobody records any more. */
  giveUp(): void {
    for (const waiter of this.#waiters) waiter.done(false);
  }
}
