import { randomBytes } from 'node:crypto';
import { newWamid } from './identity.ts';

/** The other providers whose senders stand beside phone number ids: `evolution.<instance>`, `twilio.<number>`. */
export type ForeignProvider = 'evolution' | 'twilio';

export function foreignOf(senderId: string): { provider: ForeignProvider; name: string } | null {
  const match = /^(evolution|twilio)\.(.+)$/s.exec(senderId);
  return match === null ? null : { provider: match[1] as ForeignProvider, name: match[2] ?? '' };
}

/** An id as the sender's provider makes them. */
export function newMessageId(senderId: string, party: string, direction: 'out' | 'in'): string {
  const foreign = foreignOf(senderId);
  if (foreign === null) return newWamid(party, direction);
  const hex = randomBytes(16).toString('hex');
  return foreign.provider === 'twilio' ? `SM${hex}` : `3EB0${hex.slice(0, 18).toUpperCase()}`;
}
