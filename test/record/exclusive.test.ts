import { expect, test } from 'vitest';
import { testDatabase } from '../support/services.ts';
import { sql } from '../support/postgres.ts';
import { openTestRecord } from './support/record.ts';

const LOCKS = `
  select pid from pg_locks join pg_database on pg_database.oid = pg_locks.database
  where locktype = 'advisory' and datname = current_database()`;

test('T1 · however much is to be made at once, a process holds ten connections for it', async () => {
  const { url } = await testDatabase();
  const record = openTestRecord(url);
  const names = Array.from({ length: 30 }, (_, n) => `content ${n}`);
  let working = 0;
  let most = 0;
  let go: (holders: number) => void = () => undefined;
  // Until ten are at work nobody ends; what the others wait for is seen in PostgreSQL.
  const tenAtWork = new Promise<number>((resolve) => (go = resolve));
  const made = names.map((name) =>
    record.exclusive.alone(name, 10_000, async () => {
      most = Math.max(most, (working += 1));
      if (working === 10) go((await sql(url, LOCKS)).length);
      await tenAtWork;
      working -= 1;
      return name;
    }),
  );
  try {
    expect(await tenAtWork).toBe(10);
    expect(await Promise.all(made)).toEqual(names);
    expect(most).toBe(10);
    await expect(record.exclusive.alone('x', 0, () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  } finally {
    await record.close();
  }
});
