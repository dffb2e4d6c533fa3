/**
 * One answer for all who ask: those who come while it is being read share it, and it stays good for a multiple of the
 * time that reading took. So reading takes at most a small, fixed share of somebody's time, however many ask and
 * however large what is read has become; where it is quick, the answer stays fresh.
 * @param options.timesAsLong how many times as long as it took an answer is good; default 20, so at most 5 % is reading
 * @param options.freshMsMax an answer is never older than this, ms; default 30,000
 */
export function remembered<T>(
  read: () => Promise<T>,
  options: { readonly timesAsLong?: number; readonly freshMsMax?: number; readonly now?: () => number } = {},
): () => Promise<T> {
  const { timesAsLong = 20, freshMsMax = 30_000, now = () => performance.now() } = options;
  let kept: { readonly value: T; readonly untilMs: number } | undefined;
  let reading: Promise<T> | undefined;
  const readAnew = async () => {
    const startMs = now();
    const value = await read();
    const endMs = now();
    kept = { value, untilMs: endMs + Math.min(freshMsMax, (endMs - startMs) * timesAsLong) };
    return value;
  };
  return async () => {
    if (kept !== undefined && now() < kept.untilMs) return kept.value;
    reading ??= readAnew().finally(() => (reading = undefined));
    return await reading;
  };
}
