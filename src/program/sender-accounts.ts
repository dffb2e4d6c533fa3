import type { Config } from '../config/index.ts';
import { settingsSenders } from '../messages/index.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { NewSender, WaxwingRecord } from '../record/index.ts';
import type { ReadAccount } from '../worker/accounts.ts';

/** Reads accounts of senders. Those of the settings need no record. */
export function accountReader(config: Config, record: Pick<WaxwingRecord, 'senders'>): ReadAccount {
  const ofSettings = new Map(settingsSenders(config).map((sender) => [sender.id, accountOf(sender)]));
  return async (id) => ofSettings.get(id) ?? (await record.senders.getWithCredentials(id));
}

function accountOf(sender: NewSender): SenderAccount {
  const { id, provider, externalId, apiUrl, channel = null, credentials } = sender;
  return { id, provider, externalId, apiUrl, channel, credentials };
}
