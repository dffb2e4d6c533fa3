import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import { createWaxwing, type Waxwing } from '../../src/index.ts';
import { type Gate, openGate } from '../record/support/gate.ts';
import { sql } from '../support/postgres.ts';
import { programSettings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* Failures of another program: what is taken in is recorded whatever its error looks like, and what cannot be is refused. */

const FAILURE = { to: '+447700900001', message: 'From elsewhere', tenant: 'salon1' };
let emulator: Emulator;
let gate: Gate;
let waxwing: Waxwing;
let databaseUrl: string;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  databaseUrl = database.url;
  await sql(databaseUrl, "insert into tenants (id, name) values ('salon1', 'Salon')");
  [emulator, gate] = await Promise.all([startEmulator(), openGate(databaseUrl)]);
  const settings = programSettings(
    { redis, database: gate, emulator },
    { RETRY_SCHEDULE_SECONDS: '3600,3600', TENANT_AUTO_CREATE: 'false' },
  );
  waxwing = createWaxwing({ role: 'all', settings });
  await waxwing.start();
});

afterAll(async () => {
  await waxwing.stop();
  await Promise.all([emulator.stop(), gate.close()]);
});

const tenants = () => sql(databaseUrl, 'select id from tenants order by id');
const rowOf = async (id: string) => (await waxwing.failures.list()).items.find((one) => one.id === id);

describe('logDeliveryFailure()', () => {
  it.each<[string, Record<string, unknown>]>([
    ['to', { to: '12345' }],
    ['to', { to: undefined }],
    ['message', { message: '' }],
    ['message', { message: 5 }],
    ['message', { message: 'x'.repeat(4097) }],
    ['attemptCount', { attemptCount: 0 }],
    ['attemptCount', { attemptCount: 1001 }],
    ['idempotencyKey', { idempotencyKey: 12 }],
    ['idempotencyKey', { idempotencyKey: 'k'.repeat(256) }],
    ['conversation', { conversation: 'two\nlines' }],
    ['tenant', { tenant: 'salon|other' }],
    ['tenant', { tenant: 'nobody' }],
    ['sender', { sender: 'nobody' }],
  ])('F6 · refuses a failure with a wrong %s, and stores nothing', async (field, wrong) => {
    const [known, { queue }] = [await tenants(), await waxwing.getStats()];
    const failure = { ...FAILURE, ...wrong };
    await expect(waxwing.failures.logDeliveryFailure(failure, 'no')).rejects.toMatchObject({ name: 'AppError', field });
    expect(await tenants()).toEqual(known);
    expect((await waxwing.getStats()).queue).toEqual(queue);
  });

  it.each<[string, unknown, Record<string, string>]>([
    [
      'Meta',
      { code: 131000, message: 'Something went wrong' },
      { errorCode: '131000', errorMessage: 'Something went wrong' },
    ],
    ['a client', Object.assign(new Error('no'), { providerCode: 131016 }), { errorCode: '131016', errorMessage: 'no' }],
    ['nobody knows', { title: 5, detail: { deep: 'x' }, code: {} }, { errorCode: 'LOGGED_FAILURE', errorMessage: '' }],
    ['too many words', { code: 'x'.repeat(5000) }, { errorCode: 'x'.repeat(100) }],
    ['a person', 'just words', { errorMessage: 'just words' }],
    ['nobody', undefined, { errorCode: 'LOGGED_FAILURE', errorMessage: '' }],
  ])('F6 · records a failure with an error as %s writes it', async (_, error, expected) => {
    const id = await waxwing.failures.logDeliveryFailure(FAILURE, error);
    const row = await eventually(() => rowOf(id));
    expect(row).toMatchObject({ status: 'PENDING', attemptCount: 1, ...expected });
  });

  it('F6 · takes a failure in while PostgreSQL is away, and it is recorded when it is back', async () => {
    await waxwing.failures.logDeliveryFailure(FAILURE, 'this process knows tenant and sender');
    await gate.shut();
    const id = await waxwing.failures.logDeliveryFailure(FAILURE, 'no');
    await gate.open();
    await eventually(() => rowOf(id).catch(() => undefined));
  });
});

it('F6 · retryFailedMessages() tells which went through, which wait again, and which have failed for good', async () => {
  const [again, never] = ['+447700900011', '+447700900012'];
  for (const recipient of [again, never]) {
    emulator.addRule({ match: { recipient }, action: { kind: 'error', code: 131000 } });
  }
  const ids = await Promise.all([
    waxwing.failures.logDeliveryFailure({ ...FAILURE, to: '+447700900010' }, 'no'),
    waxwing.failures.logDeliveryFailure({ ...FAILURE, to: again }, 'no'),
    waxwing.failures.logDeliveryFailure({ ...FAILURE, to: never, attemptCount: 2 }, 'no'),
  ]);
  for (const id of ids) await eventually(() => rowOf(id));
  const { total, ...ended } = await waxwing.failures.retryFailedMessages(1000);
  expect(ended).toEqual({ succeeded: total - 2, failed: 1, permanentlyFailed: 1 });
  const rows = await Promise.all(ids.map(rowOf));
  expect(rows.map((row) => `${row?.status} ${row?.attemptCount}`)).toEqual(['RESOLVED 2', 'PENDING 2', 'FAILED 3']);
});

it('F6 · clearing the pair limit of a sender that there is not is refused', async () => {
  const cleared = waxwing.failures.clearPairLimit(FAILURE.to, 'nobody');
  await expect(cleared).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
