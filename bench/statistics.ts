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

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** What of a sample is kept in the results. */
export function summary(sample: readonly number[]): Summary {
  const [min = Number.NaN, p50 = Number.NaN, p95 = Number.NaN, p99 = Number.NaN, max = Number.NaN] = [
    0, 0.5, 0.95, 0.99, 1,
  ].map((share) => quantile(sample, share));
  return { count: sample.length, min, p50, p95, p99, max };
}
