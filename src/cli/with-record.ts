import { userInfo } from 'node:os';
import { type Config, type Keys, resolveKeys } from '../config/index.ts';
import { joinDataServices } from '../program/data-services.ts';
import { createLog } from '../program/log.ts';
import { openRecordOf } from '../program/record.ts';
import { migrate, type WaxwingRecord } from '../record/index.ts';
import { settings } from './settings.ts';

/** Runs a command's work on the record: of the program that runs on the data folder, or of servers started for it. */
export async function withRecord<T>(
  work: (record: WaxwingRecord, program: { readonly config: Config; readonly keys: Keys }) => Promise<T>,
): Promise<T> {
  const config = settings();
  const log = createLog('warn');
  const keys = await resolveKeys(config);
  const services = await joinDataServices(config, log);
  const record = openRecordOf(config, keys, services, log);
  try {
    // The command may be the first that runs, before any start.
    await migrate(services.databaseUrl);
    return await work(record, { config, keys });
  } finally {
    await record.close();
    await services.stop();
  }
}

/** Who stands in the audit for what a command did: the account on this machine. */
export function commandActor(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // The account of a container may have no name.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}
