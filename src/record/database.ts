import pg from 'pg';
import type { Breakers } from '../util/breakers.ts';
import { parseDatabaseUrl } from './database-url.ts';
import { createGuard } from './guard.ts';
import { toRecordError } from './sql-errors.ts';

/** A server that does not answer a connection within this time is away: callers get 503 and need not wait longer. */
const CONNECT_TIMEOUT_MS = 2_000;
/** Statements of the repositories are key lookups and short pages: one that takes longer is cut off by the server. */
const STATEMENT_TIMEOUT_MS = 2_000;
/** The server cuts first and says why; this is for a server that is frozen or behind a dead network. */
const ANSWER_MARGIN_MS = 300;

export interface DatabaseOptions {
  /** DATABASE_URL; `?connection_limit=` (20) and `?pool_timeout=` (10 s) shape the pool. */
  readonly databaseUrl: string;
  /** Where the breaker `postgres` is made; absent: calls are never held back. */
  readonly breakers?: Pick<Breakers, 'of'>;
  /** Hears of connections that break while nobody uses them. The pool replaces them by itself. */
  readonly onConnectionError?: (error: Error) => void;
}

export interface StatementOptions {
  /** Longest run of the statement, ms; default 2,000. */
  readonly timeoutMs?: number;
  /** Prepares the statement once per connection under this name: worth it for one that is long and runs often. */
  readonly name?: string;
}

/** Shape of a row; named here, so that the package needs no types of the driver where it is installed. */
export type Row = object;

/** Runs one statement and returns its rows. */
export type Run = <R extends Row>(
  text: string,
  values?: readonly unknown[],
  options?: StatementOptions,
) => Promise<R[]>;

/**
 * The pool of one process. All its calls reject with AppError `RECORD_UNAVAILABLE` (retryable) while PostgreSQL is
 * away, within about two seconds (at once while the breaker is open), and work again by themselves when it is back.
 */
export interface Database {
  readonly query: Run;
  /** Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. */
  transaction<T>(work: (run: Run) => Promise<T>): Promise<T>;
  /** Resolves when PostgreSQL answers right now, whatever the breaker thinks: it is its probe. */
  ping(): Promise<void>;
  /** Somebody has just reached PostgreSQL past this pool: an open breaker probes instead of waiting. */
  reached(): void;
  /** The pool now. */
  connections(): PoolState;
  /** Waits for what is under way and closes all connections. Safe to call twice. */
  close(): Promise<void>;
}

export interface PoolState {
  /** Open connections, used or not. */
  readonly open: number;
  readonly idle: number;
  /** Calls that wait for a free connection. */
  readonly waiting: number;
  readonly max: number;
}

/** Counts and sequence numbers are `bigint` in the tables and far below 2^53: numbers are what callers want. */
const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, Number);

/** The pool waits long for a free connection (a burst), but never long for a server that does not answer. */
class QuickClient extends pg.Client {
  constructor(options?: pg.ClientConfig) {
    super({ ...options, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  }
}

export function openDatabase(options: DatabaseOptions): Database {
  const { connectionString, connectionsMax, poolWaitMs } = parseDatabaseUrl(options.databaseUrl);
  const onConnectionError = options.onConnectionError ?? (() => undefined);
  const pool = new pg.Pool({
    connectionString,
    max: connectionsMax,
    connectionTimeoutMillis: poolWaitMs,
    idleTimeoutMillis: 30_000,
    application_name: 'waxwing',
    keepAlive: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + ANSWER_MARGIN_MS,
    types,
    Client: QuickClient,
  });
  pool.on('error', onConnectionError);
  // The pool listens to idle clients only; one that breaks between two statements of a transaction would otherwise
  // end the process with an unhandled 'error' event. The next statement rejects, which is where it is handled.
  pool.on('connect', (client) => client.on('error', () => undefined));

  /** Lends one connection to `work` as a function that runs statements on it. */
  async function withConnection<T>(timeoutMs: number | undefined, work: (run: Run) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw toRecordError(error);
    });
    let broken = false;
    const run: Run = async <R extends Row>(text: string, values?: readonly unknown[], options?: StatementOptions) => {
      const config: pg.QueryConfig & { query_timeout?: number } = { text };
      if (options?.name !== undefined) config.name = options.name;
      if (values !== undefined) config.values = [...values];
      if (timeoutMs !== undefined) config.query_timeout = timeoutMs + ANSWER_MARGIN_MS;
      try {
        return (await client.query<R>(config)).rows;
      } catch (error) {
        // A refused statement leaves the connection in order; one without an answer of the server may not have.
        broken ||= !(error instanceof pg.DatabaseError) || error.severity === 'FATAL';
        throw toRecordError(error);
      }
    };
    try {
      return await work(run);
    } finally {
      client.release(broken);
    }
  }

  async function inTransaction<T>(timeoutMs: number | undefined, work: (run: Run) => Promise<T>): Promise<T> {
    return withConnection(timeoutMs, async (run) => {
      await run('begin');
      try {
        if (timeoutMs !== undefined) await run(`set local statement_timeout = ${Math.ceil(timeoutMs)}`);
        const result = await work(run);
        await run('commit');
        return result;
      } catch (error) {
        // When this fails too, the connection is gone and the server has rolled back by itself.
        await run('rollback').catch(() => undefined);
        throw error;
      }
    });
  }

  const guard = createGuard(options.breakers, async () => {
    await withConnection(undefined, (run) => run('select 1'));
  });
  let closed: Promise<void> | undefined;
  return {
    ping: () => guard.ask(),
    reached: () => guard.reached(),
    connections: () => ({
      open: pool.totalCount,
      idle: pool.idleCount,
      // The pool counts every call as waiting until the next tick, also those for which there is room.
      waiting: Math.max(0, pool.waitingCount - pool.idleCount - (connectionsMax - pool.totalCount)),
      max: connectionsMax,
    }),
    query: (text, values, options = {}) =>
      guard.run(() =>
        options.timeoutMs === undefined
          ? withConnection(undefined, (run) => run(text, values, options))
          : inTransaction(options.timeoutMs, (run) => run(text, values, options)),
      ),
    transaction: (work) => guard.run(() => inTransaction(undefined, work)),
    close() {
      guard.stop();
      return (closed ??= pool.end());
    },
  };
}
