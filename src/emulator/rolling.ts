const SECOND_MS = 1000;

/** Counts events in a rolling second: the window at time t is (t − 1000 ms, t]. Memory grows with the rate only. */
export class RollingSecond {
  #times = new Float64Array(64);
  #head = 0;
  #size = 0;
  #last = 0;
  #max = 0;

  /** Adds an event. A time before the last one counts as the last one. */
  add(atMs: number): void {
    const at = Math.max(atMs, this.#last);
    this.#last = at;
    this.#forget(at);
    if (this.#size === this.#times.length) this.#grow();
    this.#times[(this.#head + this.#size) % this.#times.length] = at;
    this.#size += 1;
    if (this.#size > this.#max) this.#max = this.#size;
  }

  /** Events in the window that ends at `atMs`. */
  count(atMs: number): number {
    this.#forget(Math.max(atMs, this.#last));
    return this.#size;
  }

  /** The most that any window has held. */
  get max(): number {
    return this.#max;
  }

  reset(): void {
    this.#head = 0;
    this.#size = 0;
    this.#max = 0;
  }

  #forget(atMs: number): void {
    while (this.#size > 0 && (this.#times[this.#head] ?? 0) <= atMs - SECOND_MS) {
      this.#head = (this.#head + 1) % this.#times.length;
      this.#size -= 1;
    }
  }

  #grow(): void {
    const larger = new Float64Array(this.#times.length * 2);
    for (let i = 0; i < this.#size; i += 1) larger[i] = this.#times[(this.#head + i) % this.#times.length] ?? 0;
    this.#times = larger;
    this.#head = 0;
  }
}
