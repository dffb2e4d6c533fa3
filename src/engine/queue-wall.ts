/**
 * The wall clock of the queue, as its last answer to this process told it: `expiresAt` is judged by that one everywhere.
 * This machine's own may be minutes off. Ahead, it would give a message back that the queue hands over again at once,
 * and so on until the message has expired unsent.
 *
 * It counts from when the answer was asked for, so it is ahead by as much as the call took, and never behind: what has
 * expired is not sent.
 */
export class QueueWall {
  #wallMs: number | undefined;
  #askedAtMs = 0;

  /** @param askedAtMs when the call was made, on the monotonic clock */
  told(wallMs: number, askedAtMs: number): void {
    this.#wallMs = wallMs;
    this.#askedAtMs = askedAtMs;
  }

  /** Epoch ms. Before the first answer, this machine's own. */
  nowMs(): number {
    return this.#wallMs === undefined ? Date.now() : this.#wallMs + performance.now() - this.#askedAtMs;
  }
}
