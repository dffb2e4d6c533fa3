import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { clientOptions } from './database-url.ts';
import { isUnavailable } from './sql-errors.ts';

/** The oldest PostgreSQL that the SQL of this room is written for and tested on. */
const SERVER_VERSION_MIN = 140_000;

/**
 * Key of the advisory lock that lets one process migrate while the others wait: "wxmg" in ASCII. Advisory locks
 * are per database, so two installations on one server do not meet.
 */
const MIGRATION_LOCK = 0x77_78_6d_67;

/** Sibling folder of this file: `src/` under tsx, `dist/` after the build has copied the `.sql` files. */
const FOLDER = new URL('./migrations/', import.meta.url);

const FILE_NAME = /^(\d{6})_([a-z0-9_]+)\.sql$/;

export interface Migration {
  /** Number in the file's name; grows, with gaps where branches of work took numbers of their own. */
  readonly id: number;
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hex. */
  readonly checksum: string;
  /** First line is `--! breaking`: processes of the older version must be stopped before it is applied, and cannot start after. */
  readonly breaking: boolean;
}

export interface SchemaState {
  /** Number of the newest applied migration; 0 for an empty database. */
  readonly applied: number;
  /** What `migrate()` would apply, in order. */
  readonly pending: readonly Migration[];
  /** Names of applied migrations that only a newer version has; none of them is breaking. */
  readonly newer: readonly string[];
}

/** The schema and this version of the code do not fit together. The message says what to do. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/**
 * Brings the schema to the state that this version of the code needs.
 * Safe to call from several processes at once: one migrates, the others wait and then find nothing to do. Each
 * file and its ledger row are one transaction, so a crash leaves whole migrations only.
 * @param folder of `.sql` files; default = this version's own
 * @throws MigrationError when the server is too old, a breaking migration of a newer version has been applied, or one is
 *   pending while others are connected, an applied file was changed or a file fails; the driver's error when the server is away or a lock was not to be had: try again later
 */
export async function migrate(databaseUrl: string, folder: URL = FOLDER): Promise<void> {
  await withMigrations(databaseUrl, folder, async (client, migrations) => {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query(`
      create table if not exists schema_migrations (
        id integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now(),
        breaking boolean not null default false
      )`);
    // For an older version that is started on this schema: it has no file to read the mark from.
    await client.query(
      'alter table schema_migrations add column if not exists breaking boolean not null default false',
    );
    const pending = await pendingOf(client, migrations);
    await requireQuiet(client, pending);
    for (const migration of pending) await apply(client, migration);
  });
}

/**
 * Compares the schema with the code and changes nothing.
 * @throws MigrationError as `migrate()` does
 */
export async function schemaState(databaseUrl: string, folder: URL = FOLDER): Promise<SchemaState> {
  return withMigrations(databaseUrl, folder, async (client, migrations) => {
    const { pending, newer } = await compare(client, migrations);
    const isPending = new Set(pending.map(({ id }) => id));
    return { applied: migrations.findLast(({ id }) => !isPending.has(id))?.id ?? 0, pending, newer };
  });
}

async function withMigrations<T>(
  databaseUrl: string,
  folder: URL,
  work: (client: pg.Client, migrations: readonly Migration[]) => Promise<T>,
): Promise<T> {
  const migrations = await readMigrations(folder);
  const client = new pg.Client({
    ...clientOptions(databaseUrl),
    application_name: 'waxwing-migrate',
    connectionTimeoutMillis: 10_000,
    // Waiting for another process's migration is not an error, however long it takes.
    statement_timeout: 0,
  });
  // A connection that breaks also rejects the query under way, which is where the caller hears of it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await requireServerVersion(client);
    return await work(client, migrations);
  } finally {
    // Ending the session frees the advisory lock.
    await client.end().catch(() => undefined);
  }
}

/**
 * Reads a folder of `NNNNNN_name.sql` files in order.
 * @throws MigrationError for a name of another form, or two files with one number
 */
export async function readMigrations(folder: URL): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  const migrations: Migration[] = [];
  for (const fileName of names) {
    const match = FILE_NAME.exec(fileName);
    const id = Number(match?.[1]);
    const before = migrations.at(-1)?.id ?? 0;
    if (match?.[2] === undefined || id <= before) {
      throw new MigrationError(
        `The migration file ${fileName} is out of line: expected NNNNNN_lower_case_name.sql with a number above ${before}.`,
      );
    }
    // Checkouts with CRLF line ends must give the same checksum.
    const sql = (await readFile(new URL(fileName, folder), 'utf8')).replaceAll('\r\n', '\n');
    migrations.push({
      id,
      name: match[2],
      sql,
      checksum: createHash('sha256').update(sql).digest('hex'),
      breaking: sql.startsWith('--! breaking\n'),
    });
  }
  return migrations;
}

async function requireServerVersion(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; text: string }>(
    `select current_setting('server_version_num')::integer as number, current_setting('server_version') as text`,
  );
  const server = rows[0];
  if (server === undefined || server.number < SERVER_VERSION_MIN) {
    throw new MigrationError(
      `PostgreSQL ${server?.text ?? 'of unknown version'} is too old: point DATABASE_URL to PostgreSQL 14 or newer.`,
    );
  }
}

async function pendingOf(client: pg.Client, migrations: readonly Migration[]): Promise<readonly Migration[]> {
  return (await compare(client, migrations)).pending;
}

interface LedgerRow {
  readonly id: number;
  readonly name: string;
  readonly checksum: string;
  readonly breaking: boolean;
}

/** Checks the ledger against the files: which of them it does not name, and what it names that no file does. */
async function compare(
  client: pg.Client,
  migrations: readonly Migration[],
): Promise<{ readonly pending: readonly Migration[]; readonly newer: readonly string[] }> {
  const { rows: exists } = await client.query<{ found: boolean }>(
    `select to_regclass('schema_migrations') is not null as found`,
  );
  if (exists[0]?.found !== true) return { pending: [...migrations], newer: [] };
  // Read as JSON, because a ledger that no version with the mark has seen yet has no such column.
  const { rows: ledger } = await client.query<LedgerRow>(
    `select id, name, checksum, coalesce((to_jsonb(schema_migrations) ->> 'breaking')::boolean, false) as breaking
       from schema_migrations order by id`,
  );
  const newer: string[] = [];
  for (const row of ledger) {
    const known = migrations.find(({ id }) => id === row.id);
    if (known === undefined) {
      // Other migrations only add, so that processes of the older version work on; then they may start, too.
      if (!row.breaking) {
        newer.push(row.name);
        continue;
      }
      throw new MigrationError(
        `The database schema is newer than this version of Waxwing: it has migration ${row.id} (${row.name}), which older ` +
          `versions cannot work with. Start the newer version, or point DATABASE_URL to another database.`,
      );
    }
    if (known.checksum !== row.checksum) {
      throw new MigrationError(
        `Migration ${row.id} (${row.name}) was changed after it was applied to this database. ` +
          'Restore the released file; a change of the schema needs a new migration.',
      );
    }
  }
  const applied = new Set(ledger.map((row) => row.id));
  return { pending: migrations.filter((migration) => !applied.has(migration.id)), newer };
}

/** @throws MigrationError when processes of the older version are connected that a pending migration would break */
async function requireQuiet(client: pg.Client, pending: readonly Migration[]): Promise<void> {
  const breaking = pending.find((migration) => migration.breaking);
  if (breaking === undefined) return;
  const { rows } = await client.query<{ names: string; count: number }>(`
    select count(*)::integer as count, string_agg(distinct application_name, ', ') as names
      from pg_stat_activity
     where datname = current_database() and application_name like 'waxwing%' and application_name <> 'waxwing-migrate'`);
  const { count = 0, names = '' } = rows[0] ?? {};
  if (count === 0) return;
  throw new MigrationError(
    `Migration ${breaking.id} (${breaking.name}) does not go together with running processes of the older version, and ` +
      `${count} of their connections are open (${names}). Stop all web and worker processes, then migrate.`,
  );
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('begin');
  try {
    // A change that waits behind a long transaction makes all others wait behind itself: better to give up and say so.
    await client.query(`set local lock_timeout = '10s'`);
    await client.query(migration.sql);
    await client.query('insert into schema_migrations (id, name, checksum, breaking) values ($1, $2, $3, $4)', [
      migration.id,
      migration.name,
      migration.checksum,
      migration.breaking,
    ]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    // Worth another try later, unlike a file that does not fit this database.
    if (isUnavailable(error)) throw error;
    throw new MigrationError(
      `Migration ${migration.id} (${migration.name}) failed and changed nothing: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
