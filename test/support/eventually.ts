import { setTimeout as delay } from 'node:timers/promises';

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
  const startMs = performance.now();
  for (;;) {
    let failure: unknown;
    try {
      const value = await fn();
      if (value !== false && value !== undefined && value !== null) return value as NonNullable<Exclude<T, false>>;
    } catch (error) {
      failure = error;
    }
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs > timeoutMs) {
      if (failure instanceof Error) throw failure;
      throw new Error(`Waited ${timeoutMs} ms in vain for ${options.what ?? String(fn)}.`);
    }
    await delay(elapsedMs < 100 ? 5 : 25);
  }
}
