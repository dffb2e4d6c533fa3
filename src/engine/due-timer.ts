/** Keeps one local timer for the earliest due time that replies of the engine told this process. */
export class DueTimer {
  readonly #fire: () => void;
  #handle: NodeJS.Timeout | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(fire: () => void) {
    this.#fire = fire;
  }

  /** @param dueMs as the scripts reply it: ms from now, 0 = at once, -1 = nothing to arm */
  arm(dueMs: number): void {
    if (dueMs < 0 || this.#closed) return;
    const dueAt = performance.now() + dueMs;
    if (dueAt >= this.#dueAt) return;
    clearTimeout(this.#handle);
    this.#dueAt = dueAt;
    // Longer than a timer can hold: the call made after this one gets the rest.
    this.#handle = setTimeout(
      () => {
        this.#dueAt = Number.POSITIVE_INFINITY;
        this.#fire();
      },
      Math.min(dueMs, 2 ** 30),
    );
    this.#handle.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#handle);
  }
}
