import type { Logger } from 'pino';
import type { Config, Keys } from '../config/index.ts';
import { openRecord, type RecordOptions, type WaxwingRecord } from '../record/index.ts';
import { createSecretBox } from '../util/secret-box.ts';
import type { DataServices } from './data-services.ts';

export function openRecordOf(
  config: Config,
  keys: Keys,
  services: DataServices,
  log: Logger,
  parts: Pick<RecordOptions, 'breakers' | 'changes' | 'knownPeople'> = {},
): WaxwingRecord {
  return openRecord({
    databaseUrl: services.databaseUrl,
    tenantDefaults: { concurrency: config.tenantConcurrency, weight: 1, backlogMax: config.tenantBacklogMax },
    ...parts,
    secretBox: createSecretBox({ key: keys.secretKey, previousKeys: keys.previousSecretKeys }),
    onConnectionError: (error) => log.debug({ err: error }, 'a connection to PostgreSQL broke'),
  });
}
