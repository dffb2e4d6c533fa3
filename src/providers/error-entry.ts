import type { LaterRetry } from '../model/later-retry.ts';
import type { ErrorClass } from './contract.ts';

/**
 * One line of a provider's error table: what a code means, what Waxwing does about it and what is left to a person.
 * Every provider has a table in this shape (`cloud/error-table.ts` is one); the API's `error`, the failure record, the
 * timeline and the pages all speak from it.
 */
export interface ProviderErrorEntry {
  readonly class: ErrorClass;
  /** Some words, without a full stop at the end. */
  readonly title: string;
  /** What happened, in plain words: sentences. */
  readonly meaning: string;
  readonly waxwingDoes: string;
  readonly personShould: string;
  /** Wait before the next try, ms; absent = the retry policy's own backoff, for the class `pair` its schedule. */
  readonly retryAfterMs?: number;
  /** Attempts in all that make sense; absent = the retry policy's own number. */
  readonly attemptsMax?: number;
  /** The class when the message's media is a link, which the provider's servers fetch anew at every try. */
  readonly classForLink?: ErrorClass;
  /** When the code comes later, in a status, after the provider had taken the message. Absent = that is final. */
  readonly whenReportedLater?: LaterRetry;
  /** The same code means something else when the provider's details say so; the first that matches counts. */
  readonly byDetails?: readonly { readonly pattern: RegExp; readonly entry: ProviderErrorEntry }[];
}

/** What Waxwing does is the same for all codes of a class unless the entry says more. */
const DOES: Record<ErrorClass, string> = {
  'retry-soon': 'Tries again within seconds, then on the slow schedule.',
  'retry-later': 'Tries again after minutes, on the slow schedule.',
  pair: 'Parks this sender and contact only, counts no attempt, and sends to everybody else.',
  'sender-slow': 'Slows this sender down, counts no attempt, and recovers the pace by itself.',
  'sender-pause': 'Pauses the sender and keeps its messages queued; no attempt is counted.',
  credentials: 'Pauses the senders of this credential and keeps their messages queued; no attempt is counted.',
  template: 'Stops this template; messages with other content go on.',
  recipient: 'Fails the message; other recipients are not affected.',
  payload: 'Fails the message; it would be refused again as it is.',
};

type Texts = Pick<ProviderErrorEntry, 'title' | 'meaning' | 'personShould'> & Partial<ProviderErrorEntry>;

/** Makes a line of a table; `waxwingDoes` is that of the class unless the texts bring their own. */
export function entry(errorClass: ErrorClass, texts: Texts): ProviderErrorEntry {
  return { class: errorClass, waxwingDoes: DOES[errorClass], ...texts };
}

/** The entry that counts once the provider's details are known. */
export function entryFor(found: ProviderErrorEntry, details: string): ProviderErrorEntry {
  return found.byDetails?.find(({ pattern }) => pattern.test(details))?.entry ?? found;
}
