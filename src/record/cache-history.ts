import type { Database, Row } from './database.ts';

/** What one process counted of a cache since it last told. */
export interface CacheCounts {
  readonly cache: string;
  readonly hits: number;
  readonly misses: number;
  readonly creations: number;
}

export interface CacheHour extends CacheCounts {
  /** Beginning of the hour, epoch ms. */
  readonly atMs: number;
}

export interface CacheHistory {
  /** Adds to the hour in which `atMs` lies. */
  add(atMs: number, counts: readonly CacheCounts[]): Promise<void>;
  /** The last hours, oldest first. */
  hours(count: number): Promise<CacheHour[]>;
}

/** A month of hours is what a trend needs. */
const KEPT_DAYS = 31;

interface HourRow extends Row {
  readonly hour: Date;
  readonly cache: string;
  readonly hits: number;
  readonly misses: number;
  readonly creations: number;
}

export function cacheHistoryOf(database: Database): CacheHistory {
  return {
    async add(atMs, counts) {
      if (counts.length === 0) return;
      // One order of rows in all processes, so that two that tell at once cannot wait for each other.
      const sorted = [...counts].sort((a, b) => (a.cache < b.cache ? -1 : 1));
      await database.query(
        `insert into cache_history (hour, cache, hits, misses, creations)
         select date_trunc('hour', $1::timestamptz), * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
         on conflict (hour, cache) do update set hits = cache_history.hits + excluded.hits,
           misses = cache_history.misses + excluded.misses, creations = cache_history.creations + excluded.creations`,
        [
          new Date(atMs),
          sorted.map(({ cache }) => cache),
          sorted.map(({ hits }) => hits),
          sorted.map(({ misses }) => misses),
          sorted.map(({ creations }) => creations),
        ],
      );
      await database.query(`delete from cache_history where hour < now() - make_interval(days => $1)`, [KEPT_DAYS]);
    },

    async hours(count) {
      const rows = await database.query<HourRow>(
        `select * from cache_history where hour > now() - make_interval(hours => $1) order by hour, cache`,
        [count],
      );
      return rows.map(({ hour, ...row }) => ({ ...row, atMs: hour.getTime() }));
    },
  };
}
