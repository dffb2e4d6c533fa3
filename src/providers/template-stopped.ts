import type { MessageError } from '../model/message.ts';

/** Codes that say that a template was paused or disabled: Meta's own, and those of Twilio. */
const STOPPED = new Set(['132015', '132016', '63041', '63042']);

/** The provider stopped the template, not the message: everything made from it meets the same answer. */
export function isTemplateStopped({ providerCode }: MessageError): boolean {
  return providerCode !== null && STOPPED.has(providerCode);
}

/** The provider stopped it for good. */
export function isTemplateDisabled({ providerCode }: MessageError): boolean {
  return providerCode === '132016' || providerCode === '63042';
}
