/** What a program has started. It ends in the reverse order: each part before those that it stands on. */
export class Started {
  readonly #ends: (() => unknown)[] = [];
  readonly #ending = new AbortController();

  /** Aborted when the end begins: for what tries again in the background. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** @param end ends a part that has just started; a promise that it returns is waited for */
  add(end: () => unknown): void {
    this.#ends.push(end);
  }

  /** Ends everything. @throws what a part throws; those that were started before it are then left as they are */
  async end(): Promise<void> {
    this.#ending.abort();
    for (const end of this.#ends.toReversed()) await end();
  }
}
