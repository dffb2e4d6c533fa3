import { entry, type ProviderErrorEntry } from '../error-entry.ts';

/*
 * What Evolution API answers, as data. It has no error codes of its own, so the words here are ours: `errors.ts` finds
 * them in the status and the sentences of an answer. Errors of its Cloud channel are Meta's and stand in the Cloud
 * API's table.
 */

const MINUTE_MS = 60_000;

export const EVOLUTION_ERRORS = {
  NUMBER_NOT_ON_WHATSAPP: entry('recipient', {
    title: 'Number not on WhatsApp',
    meaning: 'Evolution looked the number up, and it has no WhatsApp account.',
    personShould: 'Check the number, or reach the customer in another way.',
  }),
  BAD_REQUEST: entry('payload', {
    title: 'Request not accepted',
    meaning: 'Evolution refused the message because something in it is missing or not valid.',
    personShould: 'Correct the message and send it as a new one.',
  }),
  TYPE_NOT_AVAILABLE: entry('payload', {
    title: 'Message type not available on this channel',
    meaning: 'The channel of this instance does not support this type of message; templates need the Cloud channel.',
    personShould: 'Send another type, or send through an instance with the Cloud channel.',
  }),
  CONNECTION_CLOSED: entry('sender-pause', {
    title: 'Instance not connected',
    meaning: 'The connection between the Evolution instance and WhatsApp is down.',
    waxwingDoes:
      'Holds the sender and keeps its messages queued, asks for the state of the connection and goes on when it is open.',
    personShould: 'Nothing if it comes back by itself; else open the Evolution manager and scan the QR code again.',
  }),
  INSTANCE_NOT_LOADED: entry('sender-pause', {
    title: 'Instance not loaded',
    meaning: 'The Evolution server knows the instance but has not loaded it.',
    waxwingDoes: 'Holds the sender and keeps its messages queued, and goes on when the connection is open.',
    personShould: 'Restart the instance in the Evolution manager.',
  }),
  UNAUTHORIZED: entry('credentials', {
    title: 'API key not valid',
    meaning: 'The Evolution server does not accept the API key of this sender.',
    personShould: "Store the server's global key or the instance's token in the sender, then resume the sender.",
  }),
  INSTANCE_NOT_FOUND: entry('sender-pause', {
    title: 'Instance not found',
    meaning: 'The Evolution server has no instance of this name.',
    personShould: "Check the instance's name and the server's address, then resume the sender.",
  }),
  TOO_MANY_REQUESTS: entry('sender-slow', {
    title: 'Too many requests',
    meaning: 'The Evolution server, or WhatsApp behind it, asks to slow down.',
    personShould: 'Lower the rate of the sender if it happens often.',
    retryAfterMs: 5_000,
  }),
  SERVER_ERROR: entry('retry-soon', {
    title: 'Error of the Evolution server',
    meaning: 'The Evolution server failed to send the message and said so.',
    personShould: "If it stays, look into the Evolution server's log.",
  }),
  SEND_FAILED: entry('retry-later', {
    title: 'WhatsApp did not take the message',
    meaning: 'Evolution reports that WhatsApp refused the message after Evolution had taken it.',
    waxwingDoes: 'Tries once more after a minute, then keeps the message as a dead letter.',
    personShould: 'Look at the instance in the Evolution manager; redrive the message when it works again.',
    whenReportedLater: { waitMs: MINUTE_MS, retriesMax: 1 },
  }),
  // The code is WhatsApp's own.
  463: entry('sender-pause', {
    title: 'Account may not open new chats',
    meaning: 'WhatsApp has limited the account for writing to too many people who did not write first.',
    waxwingDoes:
      'Fails the message, never tries it again by itself, and holds the sender: each try prolongs the limit.',
    personShould:
      'Wait some hours, answer people who write instead of opening chats, then resume the sender. Redrive with care.',
  }),
} satisfies Record<string, ProviderErrorEntry>;

export type EvolutionErrorCode = keyof typeof EVOLUTION_ERRORS;

/** The table's word on one of our codes or on WhatsApp's 463; null for others. */
export function lookupEvolutionError(code: string): ProviderErrorEntry | null {
  return Object.hasOwn(EVOLUTION_ERRORS, code) ? EVOLUTION_ERRORS[code as unknown as EvolutionErrorCode] : null;
}
