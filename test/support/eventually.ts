import { setTimeout as delay } from 'node:timers/promises';

/** A busy machine may stand still between two looks; that time is not the condition's. */
const STEP_MS_MAX = 250;

/**
 * Calls `fn` until it returns something other than `false`, `undefined` or `null` and does not throw, and returns
 * that. For conditions that announce themselves by no event; the pause between two looks is 5 ms, then 25 ms.
 * @param options.timeoutMs default 5,000
 * @throws the last error of `fn`, or one that says what was waited for
 */
export async function eventually<T>(
  fn: () => T | Promise<T>,
  options: { readonly timeoutMs?: number; readonly what?: string } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const timeoutMs = options.timeoutMs ?? 5_000;
  let elapsedMs = 0;
  let lookedAtMs = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      const value = await fn();
      if (value !== false && value !== undefined && value !== null) return value as NonNullable<Exclude<T, false>>;
    } catch (error) {
      failure = error;
    }
    const nowMs = performance.now();
    elapsedMs += Math.min(nowMs - lookedAtMs, STEP_MS_MAX);
    lookedAtMs = nowMs;
    if (elapsedMs > timeoutMs) {
      if (failure instanceof Error) throw failure;
      throw new Error(`Waited ${timeoutMs} ms in vain for ${options.what ?? String(fn)}.`);
    }
    await delay(elapsedMs < 100 ? 5 : 25);
  }
}
