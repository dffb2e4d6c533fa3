/**
 * One key for one person: the forms in which WhatsApp and people write the same mobile number become one, so that
 * it has one pair bucket, one conversation and one opt-out. A key only: never send to it.
 *
 * - Brazil: mobiles have nine digits after the area code since 2016; older accounts keep the eight of before. Eight
 *   digits that start with 2–5 are landlines and stay as they are.
 * - Mexico: `52 1` + ten digits is the old mobile form of `52` + ten digits.
 * - Argentina: WhatsApp writes mobiles as `54 9` + ten digits, people often without the 9.
 *
 * @param phone E.164 with or without `+`, or a `wa_id`
 * @returns `+` and digits; the same for every form, and unchanged when applied again
 */
export function canonicalContact(phone: string): string {
  const digits = phone.replace(/\D/g, '');
  const brazil = /^55([1-9]\d)([6-9]\d{7})$/.exec(digits);
  if (brazil !== null) return `+55${brazil[1] ?? ''}9${brazil[2] ?? ''}`;
  const mexico = /^521(\d{10})$/.exec(digits);
  if (mexico !== null) return `+52${mexico[1] ?? ''}`;
  const argentina = /^549(\d{10})$/.exec(digits);
  if (argentina !== null) return `+54${argentina[1] ?? ''}`;
  return `+${digits}`;
}
