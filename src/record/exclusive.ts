import { bulkhead, BulkheadRejectedError } from 'cockatiel';
import pg from 'pg';
import { AppError } from '../errors/app-error.ts';
import { clientOptions } from './database-url.ts';
import { toRecordError } from './sql-errors.ts';

/** One at a time over all processes, for calls to the outside that must not be made twice. */
export interface Exclusive {
  /**
   * Runs `work` while nobody else runs any under the same name. A process that dies frees the name. Of one process ten
   * work at once; `work` must not ask for another name.
   * @param waitMs longest wait for the others, at most 5 min; 0 = not at all
   * @throws AppError `RECORD_UNAVAILABLE` when PostgreSQL is away or a thousand wait already, `CONFLICT` when the name is
   *   still taken after `waitMs`; what `work` throws
   */
  alone<T>(name: string, waitMs: number, work: () => Promise<T>): Promise<T>;
}

/** Seed of the names' hash, "wxon" in ASCII: other locks of the database are not met. */
const NAME_SPACE = 0x77_78_6f_6e;
const CONNECT_TIMEOUT_MS = 2_000;
const WAIT_MS_MAX = 300_000;
/** Each has a connection beside the pool: a cold start with hundreds of templates must not use up the server's. */
const AT_ONCE = 10;
const WAITING_MAX = 1_000;

/**
 * Holds an advisory lock on a connection of its own: work that takes seconds at a provider must not keep one of the
 * pool's, and may itself need some of them.
 */
export function exclusiveOf(databaseUrl: string): Exclusive {
  const line = bulkhead(AT_ONCE, WAITING_MAX);

  async function alone<T>(name: string, waitMs: number, work: () => Promise<T>): Promise<T> {
    const client = new pg.Client({
      ...clientOptions(databaseUrl),
      application_name: 'waxwing',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAliveInitialDelayMillis: 10_000,
    });
    // A connection that breaks meanwhile frees the name; the work under way is not stopped for it.
    client.on('error', () => undefined);
    try {
      if (!(await take(client, name, waitMs))) {
        throw new AppError('CONFLICT', { detail: 'The same is being done by another call: ask again in a moment.' });
      }
      return await work();
    } finally {
      client.end().catch(() => undefined);
    }
  }

  return {
    async alone(name, waitMs, work) {
      try {
        return await line.execute(() => alone(name, waitMs, work));
      } catch (error) {
        if (error instanceof BulkheadRejectedError) throw new AppError('RECORD_UNAVAILABLE', { cause: error });
        throw error;
      }
    },
  };
}

async function take(client: pg.Client, name: string, waitMs: number): Promise<boolean> {
  const lock = 'hashtextextended($1, $2)';
  try {
    await client.connect();
    if (waitMs > 0) {
      await client.query(`set lock_timeout = ${Math.min(WAIT_MS_MAX, Math.ceil(waitMs))}`);
      await client.query(`select pg_advisory_lock(${lock})`, [name, NAME_SPACE]);
      return true;
    }
    const { rows } = await client.query<{ taken: boolean }>(`select pg_try_advisory_lock(${lock}) as taken`, [
      name,
      NAME_SPACE,
    ]);
    return rows[0]?.taken === true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '55P03') return false;
    throw toRecordError(error);
  }
}
