/** No worker allows itself more: a queue that answers slower than this is as good as away. */
export const START_BY_MS_MAX = 2000;
/** From the grant to the beginning there are the way back of one call and the way there of the next, fsyncs included. */
const CALLS = 3;
/** A longer answer counts at once; of a shorter one a fifth, so that one quick answer does not undo a slow link. */
const SHARE_OF_SHORTER = 0.2;

/**
 * How long after its grant a hand-over may still begin: long enough for the link and the disk as they are. A fixed limit
 * would send nothing at all where a call takes longer than it. How many old tokens can come together is bounded by the
 * sender's cap in any case.
 */
export class StartBy {
  readonly #leastMs: number;
  #callMs = 0;

  constructor(leastMs: number) {
    this.#leastMs = leastMs;
  }

  /** How long a call of the engine took, from here to the answer. */
  saw(callMs: number): void {
    this.#callMs = callMs > this.#callMs ? callMs : this.#callMs + (callMs - this.#callMs) * SHARE_OF_SHORTER;
  }

  get ms(): number {
    return Math.round(
      Math.min(Math.max(this.#leastMs, CALLS * this.#callMs), Math.max(this.#leastMs, START_BY_MS_MAX)),
    );
  }
}
