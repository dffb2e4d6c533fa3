/**
 * Whether free-form messages need a word from the person within 24 hours. That is a rule of the WhatsApp Business
 * Platform (Meta, Twilio); Evolution's connection is a phone's own and has none.
 */
export function hasServiceWindow(provider: string): boolean {
  return provider !== 'evolution';
}
