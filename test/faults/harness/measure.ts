/** The value below which a share of the list lies (nearest rank); 0 for an empty list. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? 0;
}

/** `p50/p99/max` in whole ms. */
export function spread(values: readonly number[]): string {
  return [0.5, 0.99, 1].map((share) => Math.round(percentile(values, share))).join('/');
}
