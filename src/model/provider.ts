/** The providers that a sender can be reached by, as settings, routes and the record name them. */
export const SENDER_PROVIDERS = ['cloud', 'evolution', 'twilio'] as const;
export type SenderProvider = (typeof SENDER_PROVIDERS)[number];

export function isSenderProvider(word: string | undefined): word is SenderProvider {
  return SENDER_PROVIDERS.some((one) => one === word);
}
