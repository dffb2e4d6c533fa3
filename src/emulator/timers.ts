/** Epoch ms with a fraction that never runs backward within the process. */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** All waiting of one emulator in one place, so that stopping it leaves nothing behind. */
export class Timers {
  readonly #pending = new Map<NodeJS.Timeout, (() => void) | null>();
  #stopped = false;

  /** Runs `task` after `delayMs`, unless everything is cleared before. */
  after(delayMs: number, task: () => void): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#pending.delete(timer);
      task();
    }, delayMs);
    this.#pending.set(timer, null);
  }

  /** Resolves true after `delayMs`, or false at once when everything is cleared. */
  wait(delayMs: number): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pending.delete(timer);
        resolve(true);
      }, delayMs);
      this.#pending.set(timer, () => resolve(false));
    });
  }

  clear(): void {
    for (const [timer, cancelled] of this.#pending) {
      clearTimeout(timer);
      cancelled?.();
    }
    this.#pending.clear();
  }

  stop(): void {
    this.#stopped = true;
    this.clear();
  }
}
