import { afterAll } from 'vitest';
import {
  createRecorder,
  openRecord,
  type Recorder,
  type RecorderOptions,
  type RecordOptions,
  type WaxwingRecord,
} from '../../../src/record/index.ts';
import type { LifecycleEvent } from '../../../src/model/events.ts';
import { createSecretBox } from '../../../src/util/secret-box.ts';
import { sql } from '../../support/postgres.ts';
import { testDatabase } from '../../support/services.ts';
import { MemoryLog } from './memory-log.ts';

export const TENANT_DEFAULTS = { concurrency: 5, weight: 1, backlogMax: 1_000_000 };

export function openTestRecord(databaseUrl: string, more: Pick<RecordOptions, 'knownPeople'> = {}): WaxwingRecord {
  return openRecord({
    databaseUrl,
    tenantDefaults: TENANT_DEFAULTS,
    secretBox: createSecretBox({ key: 'the key of the record tests' }),
    ...more,
  });
}

/** A record on a database of the file's own, until the file is done. Called where the file begins, outside of any test. */
export async function recordOfFile(): Promise<{ readonly url: string; readonly record: WaxwingRecord }> {
  const { url } = await testDatabase();
  const record = openTestRecord(url);
  afterAll(() => record.close());
  return { url, record };
}

/** Records everything that is in the log and stops. Throws the first failure that a test does not expect. */
export async function recordAll(
  databaseUrl: string,
  log: MemoryLog,
  options: Partial<RecorderOptions> = {},
): Promise<Recorder> {
  const errors: unknown[] = [];
  const recorder = createRecorder({
    databaseUrl,
    log,
    onError: (error) => errors.push(error),
    blockMs: 20,
    ...options,
  });
  recorder.start();
  const done = await recorder.caughtUp(15_000);
  await recorder.stop();
  if (errors[0] instanceof Error) throw errors[0];
  if (!done) throw new Error('The recorder did not catch up.');
  return recorder;
}

/** A log with one entry per list. */
export function logOf(...entries: readonly (readonly LifecycleEvent[])[]): MemoryLog {
  const log = new MemoryLog();
  log.append(...entries);
  return log;
}

/** Every row that the recorder writes, without the times at which it wrote them. */
export async function snapshot(url: string): Promise<Record<string, unknown[]>> {
  const tables: Record<string, string> = {
    messages: 'id',
    attempts: 'message_id, attempt',
    message_events: 'shard, entry_ms, entry_seq, entry_index',
    status_events: 'provider_message_id, status, provider_at',
    provider_messages: 'provider_message_id',
    conversations: 'tenant, sender, id',
    contacts: 'id',
    contact_aliases: 'tenant, kind, value',
    tenants: 'id',
    recorder_quarantine: 'shard, entry_ms, entry_seq, entry_index',
  };
  const rows: Record<string, unknown[]> = {};
  for (const [table, order] of Object.entries(tables)) {
    rows[table] = await sql(
      url,
      `select to_jsonb(t) - 'updated_at' - 'recorded_at' - 'quarantined_at' as row from ${table} t order by ${order}`,
    );
  }
  return rows;
}
