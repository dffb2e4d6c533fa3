/** Codes of Evolution's table that hold a sender until its connection is open again. */
const CONNECTION_CODES = ['CONNECTION_CLOSED', 'INSTANCE_NOT_LOADED'];
/** Meta's codes for an account that is locked or restricted; `account_update` tells when that is over. */
const ACCOUNT_CODES = ['131031', '368'];

/**
 * What ends a hold of a sender: the word that its connection is open again, the word that its account is in order
 * again, or a person.
 */
export type HoldFamily = 'connection' | 'account' | 'person';

/** The reason of a hold that a provider's webhook asked for. */
export function webhookHold(event: string, reason: string | null): string {
  return `webhook: ${reason === null ? event : `${event}: ${reason}`}`.slice(0, 500);
}

/** Which word ends a hold with this reason, whether a webhook or the answer to an attempt set it. */
export function holdFamily(reason: string): HoldFamily {
  const has = (code: string) => reason.includes(`(${code})`) || reason.startsWith(`webhook: status ${code}`);
  if (/^webhook: (connection\.update|instance)\b/.test(reason) || CONNECTION_CODES.some(has)) return 'connection';
  if (/^webhook: account_update\b/.test(reason) || ACCOUNT_CODES.some(has)) return 'account';
  return 'person';
}

const RANKS: Readonly<Record<HoldFamily, number>> = { connection: 1, account: 2, person: 3 };

/** May a webhook's hold take the place of another one? Never that of one which more is needed to end. */
export function mayReplaceHold(held: string | null, wanted: string): boolean {
  if (held === null) return true;
  const [rank, wantedRank] = [RANKS[holdFamily(held)], RANKS[holdFamily(wanted)]];
  return wantedRank > rank || (wantedRank === rank && wantedRank < RANKS.person);
}
