import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type pg from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { migrate, MigrationError, readMigrations, schemaState } from '../../src/record/migrate.ts';
import { dumpSchema } from '../../src/record/schema-dump.ts';
import { sql as sqlOn, withPostgres } from '../support/postgres.ts';
import { eventually, testDatabase, type TestDatabase } from '../support/services.ts';

let database: TestDatabase;

const sql = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> =>
  await sqlOn<R>(database.url, text, values);

/** As if nothing had ever been migrated here. */
async function emptyDatabase(): Promise<void> {
  await sql('drop schema public cascade; create schema public');
}

/** Number of the newest migration file. */
async function newest(): Promise<number> {
  const migrations = await readMigrations(new URL('../../src/record/migrations/', import.meta.url));
  return migrations.at(-1)?.id ?? 0;
}

beforeEach(async () => {
  database = await testDatabase();
});

describe('migrate()', () => {
  it('builds the schema in an empty database and finds nothing to do the second time', async () => {
    await emptyDatabase();
    expect((await schemaState(database.url)).applied).toBe(0);
    await migrate(database.url);
    const state = await schemaState(database.url);
    expect(state).toMatchObject({ applied: await newest(), pending: [] });
    const before = await sql('select * from schema_migrations');
    await migrate(database.url);
    expect(await sql('select * from schema_migrations')).toEqual(before);
  });

  it('lets one of several processes migrate while the others wait', async () => {
    await emptyDatabase();
    await Promise.all(Array.from({ length: 5 }, () => migrate(database.url)));
    const files = await readMigrations(new URL('../../src/record/migrations/', import.meta.url));
    expect(await sql('select id from schema_migrations order by id')).toEqual(files.map(({ id }) => ({ id })));
  });

  it('takes an address with the parameters of the pool', async () => {
    await migrate(`${database.url}?connection_limit=5&pool_timeout=3`);
    expect((await schemaState(database.url)).pending).toEqual([]);
  });

  it('works on a schema that a newer version has only added to, so that an upgrade can be taken back', async () => {
    await sql(`insert into schema_migrations (id, name, checksum) values (999, 'from_the_future', 'x')`);
    await migrate(database.url);
    expect(await schemaState(database.url)).toMatchObject({ pending: [], newer: ['from_the_future'] });
  });

  it('refuses a schema that a newer version has changed in a way that breaks older ones', async () => {
    await sql(
      `insert into schema_migrations (id, name, checksum, breaking) values (999, 'from_the_future', 'x', true)`,
    );
    await expect(migrate(database.url)).rejects.toThrow(/newer than this version/);
    await expect(schemaState(database.url)).rejects.toThrow(MigrationError);
  });

  it('reads a ledger from before the mark', async () => {
    await sql('alter table schema_migrations drop column breaking');
    expect(await schemaState(database.url)).toMatchObject({ pending: [] });
    await migrate(database.url);
    expect((await sql<{ breaking: boolean }>('select breaking from schema_migrations'))[0]?.breaking).toBe(false);
  });

  it('applies a breaking migration only when no process of the older version is connected, and says who is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'waxwing-breaking-'));
    const own = new URL('../../src/record/migrations/', import.meta.url);
    await cp(own, folder, { recursive: true });
    await writeFile(
      join(folder, '000999_breaking.sql'),
      '--! breaking\nalter table tenants add column made_up integer;\n',
    );
    const files = pathToFileURL(`${folder}/`);
    const old = { connectionString: database.url, application_name: 'waxwing-recorder-0' };
    await withPostgres(old, async () => {
      await expect(migrate(database.url, files)).rejects.toThrow(
        /999 \(breaking\).*1 of their.*waxwing-recorder-0.*Stop all/,
      );
      expect((await schemaState(database.url, files)).pending).toHaveLength(1);
    });
    // The server ends a session a moment after its client.
    await eventually(
      () =>
        migrate(database.url, files).then(
          () => true,
          () => false,
        ),
      { timeoutMs: 10_000 },
    );
    await expect(migrate(database.url)).rejects.toThrow(/newer than this version/);
    await rm(folder, { recursive: true });
  });

  it('refuses an applied file whose text was changed', async () => {
    await sql(`update schema_migrations set checksum = 'other' where id = 1`);
    await expect(migrate(database.url)).rejects.toThrow(/was changed after it was applied/);
  });

  it('changes nothing when a file fails, and says which file and why', async () => {
    await emptyDatabase();
    await sql('create table attempts (obstacle integer)');
    await expect(migrate(database.url)).rejects.toThrow(
      /Migration 1 \(initial\) failed and changed nothing: .*attempts/,
    );
    const tables = await sql<{ name: string }>(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
    );
    expect(tables.map((table) => table.name)).toEqual(['attempts', 'schema_migrations']);
    await sql('drop table attempts');
    await migrate(database.url);
    expect((await schemaState(database.url)).applied).toBe(await newest());
  });
});

describe('migration files', () => {
  async function inFolder(files: Record<string, string>): Promise<ReturnType<typeof readMigrations>> {
    const folder = await mkdtemp(join(tmpdir(), 'waxwing-migrations-'));
    try {
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
      return await readMigrations(pathToFileURL(`${folder}/`));
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it('are read in order, with the breaking mark of the first line', async () => {
    const migrations = await inFolder({
      '000002_b.sql': '--! breaking\n-- why\nselect 2;',
      '000001_a.sql': '-- why\nselect 1;',
    });
    expect(migrations.map(({ id, name, breaking }) => ({ id, name, breaking }))).toEqual([
      { id: 1, name: 'a', breaking: false },
      { id: 2, name: 'b', breaking: true },
    ]);
  });

  it('have the same checksum with either kind of line end', async () => {
    const [unix] = await inFolder({ '000001_a.sql': 'select 1;\nselect 2;\n' });
    const [windows] = await inFolder({ '000001_a.sql': 'select 1;\r\nselect 2;\r\n' });
    expect(windows?.checksum).toBe(unix?.checksum);
  });

  it('may leave numbers out', async () => {
    const found = await inFolder({ '000001_a.sql': '', '000003_c.sql': '' });
    expect(found.map(({ id }) => id)).toEqual([1, 3]);
  });

  it('are refused with one number twice or a name of another form', async () => {
    await expect(inFolder({ '000001_a.sql': '', '000001_b.sql': '' })).rejects.toThrow(MigrationError);
    await expect(inFolder({ '000001_Upper.sql': '' })).rejects.toThrow(MigrationError);
    await expect(inFolder({ '1_a.sql': '' })).rejects.toThrow(MigrationError);
  });

  it('give the schema that is committed as schema.sql', async () => {
    const committed = await readFile(new URL('../../src/record/schema.sql', import.meta.url), 'utf8');
    expect(await dumpSchema(database.url)).toBe(committed);
  });

  it('pass squawk, which knows the changes that lock a busy table', async () => {
    const bin = createRequire(import.meta.url)
      .resolve('squawk-cli/package.json')
      .replace('package.json', 'js/bin/squawk');
    const folder = new URL('../../src/record/migrations/', import.meta.url);
    const files = (await readMigrations(folder)).map(
      ({ id, name }) => new URL(`${String(id).padStart(6, '0')}_${name}.sql`, folder).pathname,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [
      bin,
      '--pg-version=14.0',
      '--assume-in-transaction',
      // Columns of small numbers may be small; the runner itself sets the lock timeout, and long backfills may run.
      '--exclude=prefer-bigint-over-int,prefer-bigint-over-smallint,require-lock-timeout,require-statement-timeout',
      ...files,
    ]);
    expect(stdout).toMatch(/Found 0 issues in \d+ file/);
  });
});
