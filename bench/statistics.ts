/** Value below which a share (0 … 1) of the sample lies; NaN for an empty sample. */
export function quantile(sample: readonly number[], share: number): number {
  if (sample.length === 0) return Number.NaN;
  const sorted = [...sample].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? Number.NaN;
  const high = sorted[Math.ceil(at)] ?? Number.NaN;
  return low + (high - low) * (at - Math.floor(at));
}

export function median(sample: readonly number[]): number {
  return quantile(sample, 0.5);
}
