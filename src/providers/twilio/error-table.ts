import { entry, type ProviderErrorEntry } from '../error-entry.ts';

/*
 * Twilio's error codes as data; most of them come later, as `ErrorCode` of a status callback.
 * See https://www.twilio.com/docs/api/errors and https://www.twilio.com/docs/whatsapp/api/error-code-mapping
 */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** WhatsApp's own trouble, told after Twilio had taken the message: nothing reached the phone. */
const WHATSAPP_FAILED = { waitMs: MINUTE_MS, retriesMax: 2 };
const CORRECT = 'Correct the message and send it as a new one.';

const content = (meaning: string): ProviderErrorEntry =>
  entry('payload', {
    title: 'Template parameters do not fit',
    meaning,
    personShould: 'Compare the parameters with the Content template and send a corrected message.',
  });
const recipientGone = entry('recipient', {
  title: 'Recipient not reachable on WhatsApp',
  meaning: 'The recipient was not found, is not active or is not valid on WhatsApp.',
  personShould: 'Check the number, or reach the customer in another way.',
});
const refusedContent = entry('payload', {
  title: 'Content refused by WhatsApp',
  meaning: 'WhatsApp refused the content or the media of the message.',
  personShould: 'Check the type and size of the media and the length of the text, then send it as a new message.',
  classForLink: 'retry-later',
  attemptsMax: 2,
});
const senderBlocked = (title: string, meaning: string, personShould: string): ProviderErrorEntry =>
  entry('sender-pause', { title, meaning, personShould: `${personShould}, then resume the sender.` });
const badRequest = entry('payload', {
  title: 'Request not valid',
  meaning: 'Twilio refused the message because a field of it is missing or not valid.',
  personShould: CORRECT,
});

export const TWILIO_ERRORS: Readonly<Record<number, ProviderErrorEntry>> = {
  20003: entry('credentials', {
    title: 'Credentials not valid',
    meaning: 'Twilio does not accept the account SID with this auth token or API key.',
    personShould: 'Store the right credentials in the sender, then resume the sender.',
  }),
  20404: entry('payload', {
    title: 'Account or resource not found',
    meaning: 'Twilio does not know the account, the messaging service or the template that the request names.',
    personShould: `${CORRECT} If every message fails so, check the account SID of the sender.`,
  }),
  20429: entry('sender-slow', {
    title: 'Too many requests at once',
    meaning: 'The account made more requests at the same time than Twilio allows it; nothing was done.',
    personShould: 'Lower the concurrency of the sender if it happens often.',
    retryAfterMs: SECOND_MS,
  }),
  21211: entry('recipient', {
    title: 'Recipient number not valid',
    meaning: 'The number of the recipient is not a valid phone number.',
    personShould: 'Correct the number.',
  }),
  21212: senderBlocked(
    'Sender number not valid',
    'The From of this sender is not a number or service that Twilio can use.',
    "Correct the sender's external id",
  ),
  21408: entry('recipient', {
    title: 'Country not allowed',
    meaning: "Your Twilio account may not message the recipient's country.",
    personShould: "Allow the country in Twilio's geographic permissions.",
  }),
  21602: badRequest,
  21606: senderBlocked(
    'Sender number not yours',
    'The From of this sender does not belong to the account or cannot send.',
    "Correct the sender's external id or its credentials",
  ),
  21610: entry('recipient', {
    title: 'Recipient opted out',
    meaning: 'The recipient answered STOP and must not be written to.',
    personShould: 'Record the opt-out; the recipient can write START.',
  }),
  21611: entry('sender-slow', {
    title: "The sender's queue is full",
    meaning: "Twilio's queue of this sender is full.",
    personShould: 'Lower the rate of the sender if it happens often.',
    retryAfterMs: MINUTE_MS,
  }),
  21617: badRequest,
  21619: badRequest,
  21620: badRequest,
  21655: badRequest,
  21656: content('ContentVariables is not a JSON object of texts, or a variable is not valid.'),
  30001: entry('retry-later', {
    title: 'Queue overflow',
    meaning: "The message waited too long in Twilio's queue, or the queue was full.",
    personShould: 'Lower the rate of the sender if it happens often.',
    retryAfterMs: MINUTE_MS,
    whenReportedLater: { waitMs: 5 * MINUTE_MS, retriesMax: 2 },
  }),
  30002: senderBlocked('Account suspended', 'Twilio suspended the account.', 'Look at the Twilio console'),
  30008: entry('retry-soon', {
    title: 'Unknown failure of delivery',
    meaning: 'The message could not be delivered for a reason that Twilio does not know.',
    personShould: 'Nothing, unless it keeps happening for one recipient.',
    attemptsMax: 2,
    whenReportedLater: { waitMs: MINUTE_MS, retriesMax: 1 },
  }),
  30036: entry('payload', {
    title: 'Validity period over',
    meaning: 'The message was not delivered within its validity period.',
    personShould: 'Send it anew if it still matters.',
  }),
  63001: entry('credentials', {
    title: 'Channel could not authenticate',
    meaning: "Twilio's connection to WhatsApp for this sender is not authorised.",
    personShould: 'Look at the WhatsApp sender in the Twilio console, then resume the sender.',
  }),
  63003: recipientGone,
  63005: refusedContent,
  63007: senderBlocked(
    'Not a WhatsApp sender of this account',
    'The From of this sender is not a WhatsApp sender of this Twilio account.',
    "Correct the sender's external id or register the number in the Twilio console",
  ),
  63008: senderBlocked(
    'WhatsApp sender misconfigured',
    'The WhatsApp sender is not set up completely at Twilio.',
    'Finish its set-up in the Twilio console',
  ),
  63010: entry('retry-soon', {
    title: 'Internal error of Twilio',
    meaning: "Twilio's channel had an internal error.",
    personShould: 'Nothing; look at status.twilio.com if it lasts.',
    whenReportedLater: WHATSAPP_FAILED,
  }),
  63012: entry('retry-soon', {
    title: 'Internal error of WhatsApp',
    meaning: 'WhatsApp returned an internal error to Twilio.',
    personShould: 'Nothing; look at metastatus.com if it lasts.',
    whenReportedLater: WHATSAPP_FAILED,
  }),
  63013: entry('payload', {
    title: 'Channel policy violated',
    meaning: 'A variable is empty, has a line break or more than four spaces in a row, or the content breaks a policy.',
    personShould: CORRECT,
  }),
  63015: entry('recipient', {
    title: 'Sandbox not joined',
    meaning: "The recipient has not joined Twilio's sandbox, or joined more than three days ago.",
    personShould: 'Have the recipient send the join word to the sandbox number, or use a real sender.',
  }),
  63016: entry('payload', {
    title: 'More than 24 hours since the last answer',
    meaning: "The customer's last message is more than 24 hours old; only a Content template may be sent now.",
    personShould: 'Send an approved template by its ContentSid, or wait until the customer writes.',
  }),
  63017: entry('sender-slow', {
    title: 'Rate of the account exceeded',
    meaning: 'The Twilio account sends more messages per second than it may.',
    personShould: 'Lower the rates of the senders of this account.',
    retryAfterMs: 5 * SECOND_MS,
    whenReportedLater: WHATSAPP_FAILED,
  }),
  63018: entry('sender-slow', {
    title: 'Rate or messaging limit of the sender exceeded',
    meaning:
      'The sender is too fast, wrote too often to this recipient, or reached the number of people it may write to in a day.',
    personShould: 'Lower the rate of the sender; look at its messaging limit in the WhatsApp Manager if it lasts.',
    retryAfterMs: 5 * SECOND_MS,
    whenReportedLater: { waitMs: 15 * MINUTE_MS, retriesMax: 2 },
  }),
  63020: senderBlocked(
    'Invitation not accepted',
    "Meta's invitation to connect the business account with Twilio was not accepted.",
    'Accept it in the Meta Business Manager',
  ),
  63021: refusedContent,
  63023: entry('retry-soon', {
    title: 'WhatsApp failed without a reason',
    meaning: 'WhatsApp returned a general failure to Twilio.',
    personShould: 'Nothing, unless it keeps happening for one message.',
    attemptsMax: 2,
    whenReportedLater: { waitMs: MINUTE_MS, retriesMax: 1 },
  }),
  63024: recipientGone,
  63027: entry('template', {
    title: 'Template not found',
    meaning: 'The template does not exist in this language, or is not approved.',
    personShould: 'Check the ContentSid and its approval in the Twilio console.',
  }),
  63028: content('The number of parameters is not that of the template.'),
  63029: content('A parameter has another format than the template expects.'),
  63030: content('A parameter is not supported.'),
  63032: entry('recipient', {
    title: 'Recipient is in an experiment',
    meaning: 'Meta withholds marketing messages from this user as part of an experiment.',
    personShould: 'Do not resend the marketing message; other categories still arrive.',
  }),
  63033: entry('recipient', {
    title: 'Recipient stopped marketing',
    meaning: 'The user chose to get no marketing messages from this business.',
    personShould: 'Record the opt-out and send no marketing to this recipient.',
  }),
  63038: entry('retry-later', {
    title: 'Daily limit reached',
    meaning: 'The account reached the number of messages that it may send in a day.',
    personShould: 'Ask Twilio for a higher limit; trial accounts have a low one.',
    retryAfterMs: 12 * HOUR_MS,
    whenReportedLater: { waitMs: 24 * HOUR_MS, retriesMax: 1 },
  }),
  63040: entry('template', {
    title: 'Template rejected',
    meaning: 'WhatsApp rejected the template.',
    personShould: 'Read the reason in the Twilio console and change the template.',
  }),
  63041: entry('template', {
    title: 'Template paused',
    meaning: 'WhatsApp paused the template for low quality.',
    personShould: 'Improve the template or wait until the pause ends.',
  }),
  63042: entry('template', {
    title: 'Template disabled',
    meaning: 'WhatsApp disabled the template for good.',
    personShould: 'Make a new template with other content.',
  }),
  63049: entry('retry-later', {
    title: 'Withheld by Meta for this recipient',
    meaning: 'Meta limits how many marketing messages a user gets from all businesses together.',
    waxwingDoes: 'Waits at least 24 hours and tries once more: earlier tries can get the recipient blocked for a day.',
    personShould: 'Send less marketing to this recipient; other categories are not limited.',
    retryAfterMs: 24 * HOUR_MS,
    attemptsMax: 2,
    whenReportedLater: { waitMs: 24 * HOUR_MS, retriesMax: 1 },
  }),
  63051: senderBlocked(
    'WhatsApp sender locked',
    'Meta locked the WhatsApp business account of this sender.',
    'Read the notice in the Business Support Home and have the lock lifted',
  ),
  63062: senderBlocked(
    'Terms for marketing messages not accepted',
    "Meta's terms for marketing messages were not accepted for this account.",
    'Accept them in the Meta Business Manager',
  ),
  63112: senderBlocked(
    'WhatsApp business account disabled',
    'Meta disabled the WhatsApp business account of this sender.',
    'Appeal in the Business Support Home',
  ),
  92007: content('ContentVariables does not have the shape that the template needs.'),
};

/**
 * Codes after which the message may exist all the same: Twilio answers them when it failed half-way. They are
 * ambiguous in spite of its own envelope.
 */
export const TWILIO_AMBIGUOUS: ReadonlySet<number> = new Set([20500, 20502, 20503, 20504]);

/** An unknown code: most blame the request, but one more try is cheaper than a message lost. */
export const TWILIO_UNKNOWN: ProviderErrorEntry = entry('retry-later', {
  title: 'Unknown error of Twilio',
  meaning: 'Twilio refused the message with a code that Waxwing does not know.',
  waxwingDoes: 'Tries once more on the slow schedule, then fails the message; counts the code under its own number.',
  personShould: 'Look the code up at twilio.com/docs/api/errors.',
  attemptsMax: 2,
});

/** The table's word on a code. */
export function lookupTwilioError(code: number): ProviderErrorEntry {
  return (Object.hasOwn(TWILIO_ERRORS, code) ? TWILIO_ERRORS[code] : undefined) ?? TWILIO_UNKNOWN;
}
