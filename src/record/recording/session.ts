import pg from 'pg';
import { clientOptions } from '../database-url.ts';
import { isDeadlock } from '../sql-errors.ts';
import type { Statement } from './statements.ts';
import type { Execute } from './write.ts';

/** First key of the recorders' advisory locks, "wx" in ASCII; the second is the shard. */
const LOCK_SPACE = 0x77_78;

/** A batch takes tens of milliseconds; a server that needs this long for a statement is in trouble. */
const STATEMENT_TIMEOUT_MS = 30_000;
/** The server cuts first and says why; this is for a server that is frozen or behind a dead network. */
const ANSWER_TIMEOUT_MS = STATEMENT_TIMEOUT_MS + 5_000;
/** Deadlocks in a row, each a second long; more than this is no accident. */
const DEADLOCK_TRIES_MAX = 5;
/** How long a goodbye may take before the socket is left to the system. */
const GOODBYE_MS = 1_000;

/**
 * Every statement of the recorder is a handful of key look-ups, whatever the statistics of a table that is empty now
 * and huge in a minute: without these, a plan made early scans whole tables later. The keepalives free the lock of a
 * recorder whose machine is gone within about 20 s instead of two hours. The commit must be on disk, whatever the
 * server's default, because the events are deleted from Redis after it.
 */
const SETTINGS = (shard: number): string => `
  set waxwing.writer = ${shard};
  set plan_cache_mode = force_generic_plan;
  set enable_seqscan = off;
  set enable_hashjoin = off;
  set enable_mergejoin = off;
  set jit = off;
  set synchronous_commit = on;
  set idle_in_transaction_session_timeout = '60s';
  set tcp_keepalives_idle = 10;
  set tcp_keepalives_interval = 3;
  set tcp_keepalives_count = 3;
`;

/**
 * A connection that holds the lock of one shard. The recorder writes on this very connection: when the connection
 * breaks, the lock and any transaction under way are gone with it, so two recorders never write one shard together.
 */
export interface RecorderSession {
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. After a deadlock it is run
   * again, so it must be safe to repeat.
   */
  transaction(work: (execute: Execute) => Promise<void>): Promise<void>;
  /** Why the connection is of no more use; null while it is. */
  broken(): Error | null;
  /** Frees the lock. Never rejects. */
  close(): Promise<void>;
}

export interface OpenSessionOptions {
  readonly databaseUrl: string;
  readonly shard: number;
  /** Ends the wait for the lock. */
  readonly signal: AbortSignal;
  /** Called when connected and waiting for the lock. */
  readonly onWaiting: () => void;
}

/**
 * Connects and waits, without polling, until this is the only recorder of the shard.
 * @throws the driver's error when PostgreSQL is away; any error after `signal` was aborted
 */
export async function openSession(options: OpenSessionOptions): Promise<RecorderSession> {
  const client = new pg.Client({
    ...clientOptions(options.databaseUrl),
    application_name: `waxwing-recorder-${options.shard}`,
    connectionTimeoutMillis: 2_000,
    keepAliveInitialDelayMillis: 10_000,
  });
  let failure: Error | null = null;
  client.on('error', (error) => {
    failure = error;
  });
  client.on('end', () => {
    failure ??= new Error('The connection to PostgreSQL ended.');
  });
  try {
    await client.connect();
    await takeLock(client, options);
  } catch (error) {
    await goodbye(client);
    throw error;
  }

  const execute: Execute = async <R extends object>({ name, text }: Statement, values: readonly unknown[]) => {
    const config = { name, text, values: [...values], query_timeout: ANSWER_TIMEOUT_MS };
    return (await client.query<R & pg.QueryResultRow>(config)).rows;
  };
  const simple = (text: string) => client.query({ text, query_timeout: ANSWER_TIMEOUT_MS } as pg.QueryConfig);

  async function once(work: (execute: Execute) => Promise<void>): Promise<void> {
    await simple('begin');
    try {
      await work(execute);
      await simple('commit');
    } catch (error) {
      await simple('rollback').catch((reason: unknown) => {
        failure ??= reason instanceof Error ? reason : new Error(String(reason));
      });
      throw error;
    }
  }

  return {
    async transaction(work) {
      // A transaction locks conversations in more than one statement, so two shards' recorders can meet crosswise.
      // PostgreSQL rolls one of them back within a second, and it goes again.
      for (let tries = 1; ; tries += 1) {
        try {
          await once(work);
          return;
        } catch (error) {
          if (!isDeadlock(error) || tries >= DEADLOCK_TRIES_MAX || failure !== null) throw error;
        }
      }
    },
    broken: () => failure,
    close: () => goodbye(client),
  };
}

async function takeLock(client: pg.Client, options: OpenSessionOptions): Promise<void> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  await client.query(SETTINGS(options.shard));
  options.onWaiting();
  // Ending the socket would leave the server's side waiting in the queue for the lock: it must be told.
  const cancel = () => void cancelBackend(options.databaseUrl, rows[0]?.pid ?? 0);
  if (options.signal.aborted) throw new Error('The recorder was stopped.');
  options.signal.addEventListener('abort', cancel, { once: true });
  try {
    await client.query('set statement_timeout = 0');
    await client.query('select pg_advisory_lock($1, $2)', [LOCK_SPACE, options.shard]);
    await client.query(`set statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
  } finally {
    options.signal.removeEventListener('abort', cancel);
  }
}

async function cancelBackend(databaseUrl: string, pid: number): Promise<void> {
  const client = new pg.Client({ ...clientOptions(databaseUrl), connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select pg_cancel_backend($1)', [pid]);
  } catch {
    // PostgreSQL is away: then nobody waits there either.
  } finally {
    await goodbye(client);
  }
}

async function goodbye(client: pg.Client): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, GOODBYE_MS);
  });
  await Promise.race([client.end().catch(() => undefined), patience]);
  clearTimeout(timer);
}
