import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openDatabase, type Database } from '../../src/record/database.ts';
import { type Breakers, createBreakers } from '../../src/util/breakers.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { openGate, type Gate } from './support/gate.ts';
import { holdConnection } from './support/held-connection.ts';

/* The breaker before PostgreSQL: it spares callers a wait in vain, and never stands between them and a server that answers. */

let url: string;
const ends: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  ({ url } = await testDatabase());
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function gated(): Promise<Gate> {
  const gate = await openGate(url);
  ends.push(() => gate.close());
  return gate;
}
function open(databaseUrl: string, breakers: Breakers): Database {
  const database = openDatabase({ databaseUrl, breakers });
  ends.push(() => database.close());
  return database;
}
const breakersOf = (more: { threshold?: number; timeoutMs?: number } = {}) =>
  createBreakers({ threshold: 5, timeoutMs: 60_000, ...more });
const stateOf = (breakers: Breakers) => breakers.list().find(({ name }) => name === 'postgres')?.state;
async function fail(database: Database, calls = 5): Promise<void> {
  for (let n = 0; n < calls; n += 1) {
    await expect(database.query('select 1')).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
  }
}

describe('P4 · the breaker of PostgreSQL', () => {
  it('a server that drops every connection is left alone after the threshold, and callers hear it at once', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const breakers = breakersOf();
    const { port } = server.address() as AddressInfo;
    const database = open(`postgresql://u:p@127.0.0.1:${port}/db`, breakers);
    await fail(database, 30);
    // Five, and the one look whether it is still away.
    expect(connections).toBeLessThanOrEqual(6);
    expect(stateOf(breakers)).not.toBe('closed');
    expect(breakers.list()[0]?.refused).toBeGreaterThanOrEqual(24);
  });

  it('while the server does not answer, only the probe waits for it', async () => {
    const gate = await gated();
    const breakers = breakersOf({ threshold: 1, timeoutMs: 100 });
    const database = open(gate.url, breakers);
    gate.freeze();
    await fail(database, 1);
    await eventually(() => stateOf(breakers) === 'open');
    const due = eventually(() => breakers.of('postgres').isDue);
    await due;
    const [tried, ...refused] = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const beganAtMs = performance.now();
        const error: unknown = await database.query('select 1').catch((reason: unknown) => reason);
        return { error, tookMs: performance.now() - beganAtMs };
      }),
    );
    for (const one of [tried, ...refused]) expect(one?.error).toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    expect(tried?.tookMs).toBeGreaterThan(1000);
    for (const { tookMs } of refused) expect(tookMs).toBeLessThan((tried?.tookMs ?? 0) / 2);
  });

  it('an answer is no failure: a constraint, a cut statement, a missing table, a full pool', async () => {
    const breakers = breakersOf({ threshold: 1 });
    const database = open(`${url}?connection_limit=1&pool_timeout=1`, breakers);
    await database.query(`insert into tenants (id, name) values ('one', 'one')`);
    await expect(database.query(`insert into tenants (id, name) values ('one', 'one')`)).rejects.toThrow(/duplicate/);
    await expect(database.query('select * from nowhere')).rejects.toThrow(/nowhere/);
    await expect(database.query('select pg_sleep(30)', [], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'RECORD_UNAVAILABLE',
    });
    await expect(
      database.transaction(async (run) => {
        await run('set transaction read only');
        await run('delete from tenants');
      }),
    ).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    const release = await holdConnection(database);
    await expect(database.query('select 1')).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    await release();
    expect(stateOf(breakers)).toBe('closed');
    expect(breakers.list()[0]).toMatchObject({ opened: 0, refused: 0 });
  });

  it('a ping tells the truth while it is open, and closes it', async () => {
    const gate = await gated();
    const breakers = breakersOf();
    const database = open(gate.url, breakers);
    await gate.shut();
    await fail(database);
    await eventually(() => stateOf(breakers) === 'open');
    await expect(database.ping()).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    await gate.open();
    await expect(database.query('select 1')).rejects.toMatchObject({ code: 'RECORD_UNAVAILABLE' });
    await database.ping();
    expect(stateOf(breakers)).toBe('closed');
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('who reaches the server past it ends the wait long before its time', async () => {
    const gate = await gated();
    const breakers = breakersOf();
    const database = open(gate.url, breakers);
    await gate.shut();
    await fail(database);
    await gate.open();
    await eventually(() => {
      database.reached();
      return stateOf(breakers) === 'closed';
    });
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('calls that were stuck from before the server was last reached do not open it', async () => {
    const gate = await gated();
    const breakers = breakersOf({ threshold: 2 });
    const database = open(gate.url, breakers);
    gate.freeze();
    const stuck = Promise.allSettled(Array.from({ length: 5 }, () => database.query('select 1')));
    await eventually(() => database.connections().open >= 5);
    database.reached();
    for (const one of await stuck) expect(one).toMatchObject({ reason: { code: 'RECORD_UNAVAILABLE' } });
    expect(stateOf(breakers)).toBe('closed');
  });
});
