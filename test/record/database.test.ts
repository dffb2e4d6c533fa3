import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { openDatabase, type Database, type DatabaseOptions } from '../../src/record/database.ts';
import { parseDatabaseUrl } from '../../src/record/database-url.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { openGate, type Gate } from './support/gate.ts';
import { holdConnection } from './support/held-connection.ts';
import { sql } from '../support/postgres.ts';
import { openTestRecord } from './support/record.ts';

let url: string;
const opened: Database[] = [];
const gates: Gate[] = [];

beforeAll(async () => {
  ({ url } = await testDatabase());
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()));
  await Promise.all(gates.splice(0).map((gate) => gate.close()));
});
afterAll(() => undefined);

function open(databaseUrl: string, options: Partial<DatabaseOptions> = {}): Database {
  const database = openDatabase({ databaseUrl, ...options });
  opened.push(database);
  return database;
}

async function gated(): Promise<Gate> {
  const gate = await openGate(url);
  gates.push(gate);
  return gate;
}

async function refusal(work: Promise<unknown>): Promise<{ error: AppError; tookMs: number }> {
  const startedMs = performance.now();
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AppError)) throw new Error(`expected an AppError, got ${String(error)}`);
  return { error, tookMs: performance.now() - startedMs };
}

describe('DATABASE_URL', () => {
  it('P3 · gives a pool of 20 that waits 10 s, unless connection_limit and pool_timeout say otherwise', () => {
    const base = 'postgresql://u:p@host:5432/db';
    expect(parseDatabaseUrl(base)).toEqual({ connectionString: base, connectionsMax: 20, poolWaitMs: 10_000 });
    expect(parseDatabaseUrl(`${base}?connection_limit=3&sslmode=verify-full&pool_timeout=4`)).toEqual({
      connectionString: `${base}?sslmode=verify-full`,
      connectionsMax: 3,
      poolWaitMs: 4_000,
    });
    expect(parseDatabaseUrl('postgresql://u@/db?host=/run/postgresql&pool_timeout=0')).toEqual({
      connectionString: 'postgresql://u@/db?host=%2Frun%2Fpostgresql',
      connectionsMax: 20,
      poolWaitMs: 0,
    });
  });

  it.each(['connection_limit=0', 'connection_limit=many', 'pool_timeout=-1', 'pool_timeout=', 'connection_limit=1.5'])(
    'refuses %s with the name of the parameter',
    (parameter) => {
      expect(() => parseDatabaseUrl(`postgresql://host/db?${parameter}`)).toThrow(parameter.split('=')[0]);
    },
  );

  it('P3 · opens no more connections than connection_limit', async () => {
    const database = open(`${url}?connection_limit=2`);
    await Promise.all(Array.from({ length: 20 }, () => database.query('select pg_sleep(0.01)')));
    const [row] = await sql<{ count: number }>(
      url,
      `select count(*)::integer as count from pg_stat_activity
       where datname = current_database() and application_name = 'waxwing'`,
    );
    expect(row?.count).toBe(2);
  });

  it('P3 · tells of calls that wait, and not of those for which there is room', async () => {
    const database = open(`${url}?connection_limit=2`);
    const both = [database.query('select 1'), database.query('select 1')];
    expect(database.connections().waiting).toBe(0);
    await Promise.all(both);
    const five = Array.from({ length: 5 }, () => database.query('select pg_sleep(0.01)'));
    expect(database.connections()).toMatchObject({ waiting: 3, max: 2 });
    await Promise.all(five);
    expect(database.connections().waiting).toBe(0);
  });

  it('P3 · refuses after pool_timeout when every connection is taken', async () => {
    const database = open(`${url}?connection_limit=1&pool_timeout=1`);
    const release = await holdConnection(database);
    const standstill = watchStandstill();
    const { error, tookMs } = await refusal(database.query('select 1'));
    expect(error.code).toBe('RECORD_UNAVAILABLE');
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(1_500 + standstill.ms());
    await release();
  });
});

describe('queries while PostgreSQL is away', () => {
  it('reject with RECORD_UNAVAILABLE at once when the connection is refused, and work again when it is back', async () => {
    const gate = await gated();
    const broken: Error[] = [];
    const database = open(gate.url, { onConnectionError: (error) => broken.push(error) });
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
    await gate.shut();
    await eventually(() => broken.length > 0, { what: 'the broken idle connection' });
    const standstill = watchStandstill();
    const { error, tookMs } = await refusal(database.query('select 1'));
    expect(error).toMatchObject({ code: 'RECORD_UNAVAILABLE', status: 503, retryable: true });
    expect(tookMs).toBeLessThan(1_000 + standstill.ms());
    await gate.open();
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('reject within about two seconds when the server does not answer, with and without a connection', async () => {
    const gate = await gated();
    const database = open(gate.url);
    await database.query('select 1');
    gate.freeze();
    const standstill = watchStandstill();
    const both = await Promise.all([refusal(database.query('select 1')), refusal(database.query('select 1'))]);
    for (const { error, tookMs } of both) {
      expect(error.code).toBe('RECORD_UNAVAILABLE');
      expect(tookMs).toBeLessThan(2_800 + standstill.ms());
    }
    await gate.open();
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('reject when the connection breaks in the middle, also between two statements of a transaction', async () => {
    const gate = await gated();
    const database = open(gate.url);
    const { error } = await refusal(
      database.transaction(async (run) => {
        await run('select 1');
        await gate.shut();
        await run('select 1');
      }),
    );
    expect(error.code).toBe('RECORD_UNAVAILABLE');
    await gate.open();
    const { error: midway } = await refusal(
      Promise.all([
        database.query('select pg_sleep(20)', [], { timeoutMs: 30_000 }),
        eventually(() => gate.connections > 0).then(() => gate.shut()),
      ]),
    );
    expect(midway.code).toBe('RECORD_UNAVAILABLE');
  });

  it('cut a statement that runs too long, unless it was given more time', async () => {
    const database = open(url);
    const standstill = watchStandstill();
    const { error, tookMs } = await refusal(database.query('select pg_sleep(30)'));
    expect(error.code).toBe('RECORD_UNAVAILABLE');
    // The server counts too, and may stand still when this process does not: the statement would take 30 s.
    expect(tookMs).toBeLessThan(5_000 + standstill.ms());
    await database.query('select pg_sleep(2.4)', [], { timeoutMs: 10_000 });
  });
});

describe('transactions', () => {
  it('commit when the work resolves and roll back when it rejects, with its own error', async () => {
    const database = open(url);
    await database.transaction(async (run) => {
      await run(`insert into tenants (id, name) values ('kept', 'kept')`);
    });
    const own = new AppError('CONFLICT');
    await expect(
      database.transaction(async (run) => {
        await run(`insert into tenants (id, name) values ('undone', 'undone')`);
        throw own;
      }),
    ).rejects.toBe(own);
    expect(await database.query('select id from tenants')).toEqual([{ id: 'kept' }]);
  });

  it('keep the connection after a refused statement', async () => {
    const database = open(`${url}?connection_limit=1`);
    const pid = async (): Promise<unknown> => (await database.query('select pg_backend_pid() as pid'))[0];
    const before = await pid();
    await expect(database.query('select 1 / 0')).rejects.toThrow(/division by zero/);
    await expect(database.query('select nothing from nowhere')).rejects.toThrow(/nowhere/);
    expect(await pid()).toEqual(before);
  });
});

describe('the record', () => {
  it('answers a ping, and closes twice without harm', async () => {
    const record = openTestRecord(url);
    await record.ping();
    await Promise.all([record.close(), record.close()]);
    await expect(record.ping()).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
  });

  it('refuses a text with U+0000 as a bad request', async () => {
    const record = openTestRecord(url);
    await expect(record.tenants.get('a\0b')).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await record.close();
  });
});
