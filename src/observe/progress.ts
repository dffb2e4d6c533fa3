/** Work that is due for this long and that nobody here takes means that this worker is stuck. */
export const STUCK_AFTER_MS = 10_000;

/**
 * Judges whether a worker gets on: a process that answers but takes nothing while there is work must not count as
 * ready. Looked at every few seconds, on a monotonic clock.
 */
export class ProgressWatch {
  #taken = -1;
  #dueSinceMs: number | null = null;

  /**
   * @param look.due messages that a worker could take now; null = not known, which proves nothing
   * @param look.taken messages that this worker has settled since its start
   * @param look.inWork messages in its hands
   */
  observe(look: { readonly due: number | null; readonly taken: number; readonly inWork: number }, nowMs: number): void {
    const isIdle = look.inWork === 0 && look.taken === this.#taken;
    this.#taken = look.taken;
    if (!isIdle || look.due === null || look.due === 0) this.#dueSinceMs = null;
    else this.#dueSinceMs ??= nowMs;
  }

  /** @throws Error when work has been due for ten seconds and nothing was taken */
  assertProgress(nowMs: number): void {
    if (this.#dueSinceMs === null || nowMs - this.#dueSinceMs < STUCK_AFTER_MS) return;
    throw new Error(`work has been due for ${Math.round((nowMs - this.#dueSinceMs) / 1000)} s and nothing was taken`);
  }
}
