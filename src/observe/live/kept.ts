/** What is read in the background, and the newest answer until then. */
export interface Kept<T> {
  /** The newest value at once; asks for a newer one when its time has come. */
  get(): T;
  /** Could the last question be answered. */
  readonly isKnown: boolean;
}

/**
 * Keeps the answer of a question that is asked again and again, without anybody waiting for it.
 * @param options.everyMs least time between two questions; grows to so many times of what one takes
 * (`pauseShare`, default 20), so that a slow answer never makes more than a twentieth of a load
 */
export function kept<T>(
  initial: T,
  read: () => Promise<T>,
  options: { readonly everyMs: number; readonly pauseShare?: number },
): Kept<T> {
  let value = initial;
  let isKnown = true;
  let isAsking = false;
  let nextAtMs = Number.NEGATIVE_INFINITY;
  const ask = async () => {
    const startedAtMs = performance.now();
    try {
      value = await read();
      isKnown = true;
    } catch {
      isKnown = false;
    } finally {
      const tookMs = performance.now() - startedAtMs;
      nextAtMs = performance.now() + Math.max(options.everyMs, (options.pauseShare ?? 20) * tookMs);
      isAsking = false;
    }
  };
  return {
    get() {
      if (!isAsking && performance.now() >= nextAtMs) {
        isAsking = true;
        void ask();
      }
      return value;
    },
    get isKnown() {
      return isKnown;
    },
  };
}
