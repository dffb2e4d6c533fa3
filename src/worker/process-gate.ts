/**
 * Limits of one worker process over all its senders (GLOBAL_RATE_PER_SECOND, GLOBAL_CONCURRENCY): how many more
 * messages it may take now. The engine is told this number as the worker's room, so nothing is taken and then held.
 */
export class ProcessGate {
  readonly #slotsMax: number;
  readonly #ratePerSecond: number;
  readonly #burst: number;
  readonly #onRoom: () => void;
  #inWork = 0;
  #tokens: number;
  readonly #now: () => number;
  #refilledAtMs: number;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param options.slotsMax messages in work at once, ≥ 1
   * @param options.ratePerSecond messages started per second; 0 = no limit
   * @param options.now monotonic clock, ms; tests inject one
   * @param options.onRoom called when the rate gives room again after it had refused some
   */
  constructor(options: { slotsMax: number; ratePerSecond: number; onRoom: () => void; now?: () => number }) {
    this.#now = options.now ?? (() => performance.now());
    this.#refilledAtMs = this.#now();
    this.#slotsMax = options.slotsMax;
    this.#ratePerSecond = options.ratePerSecond;
    // A tenth of a second's worth: small against the second that providers count in.
    this.#burst = Math.max(1, Math.floor(options.ratePerSecond / 10));
    this.#tokens = this.#burst;
    this.#onRoom = options.onRoom;
  }

  get inWork(): number {
    return this.#inWork;
  }

  /** Slots in all as the engine counts them: those in work plus those that may be taken now. */
  slots(): number {
    const free = this.#slotsMax - this.#inWork;
    if (this.#ratePerSecond <= 0) return this.#slotsMax;
    this.#refill();
    const allowed = Math.min(free, Math.floor(this.#tokens));
    if (allowed < free) this.#arm();
    return this.#inWork + allowed;
  }

  took(count: number): void {
    this.#inWork += count;
    if (this.#ratePerSecond > 0) {
      this.#refill();
      this.#tokens -= count;
    }
  }

  done(): void {
    this.#inWork -= 1;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #refill(): void {
    const now = this.#now();
    const gained = ((now - this.#refilledAtMs) / 1000) * this.#ratePerSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#refilledAtMs = now;
  }

  #arm(): void {
    if (this.#timer !== undefined) return;
    const missing = Math.max(0, 1 - (this.#tokens - Math.floor(this.#tokens)));
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#onRoom();
      },
      Math.ceil((missing * 1000) / this.#ratePerSecond),
    );
    this.#timer.unref();
  }
}
