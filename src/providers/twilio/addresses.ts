import type { ProviderContact } from '../events.ts';
import { contactOf, isUserId, phoneOf } from '../person.ts';

const PREFIX = /^whatsapp:/i;

/** `whatsapp:+14155238886` → `+14155238886`: how a sender's number is stored and compared. Other texts stay. */
export function withoutPrefix(address: string): string {
  const bare = address.trim().replace(PREFIX, '');
  return phoneOf(bare) ?? bare;
}

/** The person behind `From` (or `To`) and `WaId`; null when they name nobody. */
export function personOf(address: string | null, waId: string | null, name: string | null): ProviderContact | null {
  const bare = address?.replace(PREFIX, '') ?? null;
  const phone = phoneOf(bare) ?? phoneOf(waId);
  const userId = bare !== null && isUserId(bare) ? bare : null;
  const wa = waId !== null && /^\d{5,20}$/.test(waId) ? waId : (phone?.slice(1) ?? null);
  return wa === null && userId === null ? null : contactOf({ waId: wa, userId, phone, name });
}
