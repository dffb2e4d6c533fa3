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

  /** Ends everything, whatever a part says to that. @throws what a part threw, the first one, when all have ended */
  async end(): Promise<void> {
    this.#ending.abort();
    const failures: unknown[] = [];
    for (const end of this.#ends.toReversed()) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
