import { randomBytes } from 'node:crypto';

/** Brazilian area codes whose accounts kept the ninth digit in their wa_id. */
const BRAZIL_NINE = new Set(['11', '12', '13', '14', '15', '16', '17', '18', '19', '21', '22', '24', '27', '28']);

/** Digits of a phone number as a caller wrote it, or null when it cannot be one. */
export function phoneDigits(input: string): string | null {
  const digits = input.replace(/[+\-() ]/g, '');
  return /^[1-9]\d{4,14}$/.test(digits) ? digits : null;
}

/**
 * The wa_id that WhatsApp gives for a number; it is not always the number that was sent to.
 * Brazil: outside some area codes the ninth digit is dropped. Mexico: a 1 comes after 52. Argentina is not repaired:
 * there 54 without the 9 is a landline.
 */
export function waIdOf(digits: string): string {
  if (/^55\d{2}9\d{8}$/.test(digits) && !BRAZIL_NINE.has(digits.slice(2, 4)))
    return digits.slice(0, 4) + digits.slice(5);
  if (/^52[2-9]\d{9}$/.test(digits)) return `521${digits.slice(2)}`;
  return digits;
}

/** A message id as WhatsApp makes them: base64 of the other party and a random id. Treat it as opaque. */
export function newWamid(party: string, direction: 'out' | 'in'): string {
  const name = Buffer.from(party.slice(0, 120), 'latin1');
  const hex = randomBytes(direction === 'out' ? 9 : 10)
    .toString('hex')
    .toUpperCase();
  const middle = direction === 'out' ? [0x15, 0x02, 0x00, 0x11, 0x18, 0x12] : [0x15, 0x02, 0x00, 0x12, 0x18, 0x14];
  const bytes = Buffer.concat([
    Buffer.from([0x1c, 0x18, name.length]),
    name,
    Buffer.from(middle),
    Buffer.from(hex, 'latin1'),
    Buffer.from([0]),
  ]);
  return `wamid.${bytes.toString('base64')}`;
}

/** A numeric id as the Graph API gives its objects. */
export function newObjectId(): string {
  return `1${(randomBytes(6).readUIntBE(0, 6) % 1e14).toString().padStart(14, '0')}`;
}
