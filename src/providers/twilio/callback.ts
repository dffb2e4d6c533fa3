import { without } from '../json.ts';

/** Field under which the tag of a status callback's address is put beside the posted fields. */
export const TAG_FIELD = 'WaxwingTag';
const TAG_PARAMETER = 'tag';

/**
 * Address for the statuses of one message: Twilio echoes nothing of ours in a callback, so the tag travels in the
 * address. The signature covers the address, so a tag in it comes from Twilio.
 * @param publicUrl base address under which Twilio reaches this server
 */
export function statusCallbackUrl(publicUrl: string, senderId: string, tag: string): string {
  const base = publicUrl.replace(/\/+$/, '');
  return `${base}/webhooks/whatsapp/twilio/${encodeURIComponent(senderId)}?${TAG_PARAMETER}=${encodeURIComponent(tag)}`;
}

/**
 * The posted fields with the tag of the address that they were posted to; what the reader takes as `body`.
 * @param query parameters of the address, whose signature was checked
 */
export function withCallbackTag(
  form: Readonly<Record<string, unknown>>,
  query: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const tag = query[TAG_PARAMETER];
  const fields = without(form, TAG_FIELD);
  return typeof tag === 'string' ? { ...fields, [TAG_FIELD]: tag } : fields;
}
