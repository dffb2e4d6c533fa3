import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Database, openDatabase } from '../../src/record/database.ts';
import { inboundRecordOf } from '../../src/record/inbound/index.ts';
import type { NewInboundMessage } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { testDatabase } from '../support/services.ts';

/*
 * A burst on a young database: PostgreSQL's statistics say that the tables are tiny, and the worker's connections keep
 * the plans they made then. What a batch reads must not grow with the tables all the same.
 */

const PEOPLE = 3_000;
const BATCH = 40;
const BATCHES = 10;

let database: Database;
beforeAll(async () => {
  database = openDatabase({ databaseUrl: `${(await testDatabase()).url}?connection_limit=1` });
});
afterAll(() => database.close());

let count = 0;
function message(): NewInboundMessage {
  count += 1;
  const phone = `+49151${String(count % PEOPLE).padStart(8, '0')}`;
  const nowMs = Date.now();
  return {
    tenant: 'salon',
    sender: 'main',
    webhookId: newId(),
    providerMessageId: `wamid.${count}`,
    isEcho: false,
    type: 'text',
    content: { body: 'Hello' },
    replyTo: `wamid.sent.${count}`,
    referral: null,
    providerAtMs: nowMs,
    receivedAtMs: nowMs,
    aliases: [{ kind: 'e164', value: phone }],
    name: null,
    conversation: phone,
    windowUntilMs: nowMs + 86_400_000,
  };
}

async function add(batches: number, size: number): Promise<void> {
  const inbound = inboundRecordOf(database);
  for (let batch = 0; batch < batches; batch += 1) {
    const messages = Array.from({ length: size }, message);
    const { recorded } = await inbound.add({ messages, webhooks: [], events: [] });
    expect(recorded).toHaveLength(size);
  }
}

/** Rows read one after the other, and rows of the index by which a tenant's latest conversations are listed. */
async function readSoFar(): Promise<{ readonly inOrder: number; readonly latest: number }> {
  // The server gathers what a connection read, and tells it late.
  await database.query('select pg_stat_force_next_flush()');
  const [row] = await database.query<{ inOrder: number; latest: number }>(
    `select
       (select sum(seq_tup_read)::integer from pg_stat_user_tables
        where relname in ('inbound_messages', 'conversation_events', 'contacts', 'contact_aliases', 'raw_webhooks',
          'provider_messages', 'messages')) as "inOrder",
       (select idx_tup_read::integer from pg_stat_user_indexes where indexrelname = 'conversations_recent') as latest`,
  );
  return { inOrder: row?.inOrder ?? 0, latest: row?.latest ?? 0 };
}

test('P1 · what a batch reads does not grow with the tables, even while their statistics say they are tiny', async () => {
  await add(2, 10);
  await database.query('analyze');
  // Single ones and small batches first: their plan is kept.
  await add(8, 1);
  await add(8, 5);
  await add(PEOPLE / 100, 100);
  const before = await readSoFar();
  await add(BATCHES, BATCH);
  const after = await readSoFar();
  const messages = BATCH * BATCHES;
  expect(after.inOrder - before.inOrder).toBeLessThan(messages * 2);
  expect(after.latest - before.latest).toBeLessThan(messages * 2);
});
