import type { Config } from '../config/index.ts';
import { EVICTED, settingsSenders } from '../messages/index.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { NewSender, WaxwingRecord } from '../record/index.ts';
import type { ReadAccount } from '../worker/accounts.ts';
import type { ProgramCaches } from './caches.ts';

/** Reads accounts of senders. Those of the settings need no record. */
export function accountReader(config: Config, record: Pick<WaxwingRecord, 'senders'>): ReadAccount {
  const ofSettings = new Map(settingsSenders(config).map((sender) => [sender.id, accountOf(sender)]));
  return async (id) => ofSettings.get(id) ?? (await record.senders.getWithCredentials(id));
}

function accountOf(sender: NewSender): SenderAccount {
  const { id, provider, externalId, apiUrl, channel = null, credentials } = sender;
  return { id, provider, externalId, apiUrl, channel, credentials };
}

/**
 * New credentials count from the next attempt on, whoever changed them.
 * @param expire forgets the account of a sender; null = of all
 * @returns ends it
 */
export function followAccounts(
  expire: (senderId: string | null) => void,
  caches: Pick<ProgramCaches, 'evictions'>,
): () => void {
  return caches.evictions((evicted) => {
    if (evicted.kind === 'all') expire(null);
    if (evicted.kind !== 'keys') return;
    for (const name of evicted.names) {
      if (name.startsWith(EVICTED.sender)) expire(decodeURIComponent(name.slice(EVICTED.sender.length)));
    }
  });
}
