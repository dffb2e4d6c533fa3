/** Where a value came from; `shared` = another caller was computing it already. */
export type CacheSource = 'memory' | 'redis' | 'shared' | 'computed' | 'stale';

export interface Found {
  readonly value: unknown;
  readonly source: CacheSource;
}
