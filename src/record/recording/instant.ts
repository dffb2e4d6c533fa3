/** Epoch ms as the text that `timestamptz` takes. @throws TypeError, RangeError for what is no time */
export function instant(ms: number): string {
  if (typeof ms !== 'number') throw new TypeError('a time is not a number');
  return new Date(ms).toISOString();
}
