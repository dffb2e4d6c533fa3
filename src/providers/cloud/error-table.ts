import { entry, type ProviderErrorEntry } from '../error-entry.ts';

/*
 * Meta's error codes as data: what each one means, what Waxwing does about it and what is left to a person.
 * `errors.ts` applies it. Meta's own advice: build on code and details, not on title, subcode or HTTP status.
 * See https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
 */

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** WhatsApp's own trouble, told after it had taken the message: nothing reached the phone, so a new attempt is safe. */
const WHATSAPP_FAILED = { waitMs: MINUTE_MS, retriesMax: 2 };

const TOKEN_DEAD = entry('credentials', {
  title: 'Access token not valid',
  meaning: 'The access token is wrong, expired or was revoked.',
  personShould: 'Make a new system-user token, store it in the sender and resume the sender.',
});
const PERMISSION_MISSING = entry('credentials', {
  title: 'Permission missing',
  meaning: 'The token lacks a permission for this number, or the permission was taken away.',
  personShould: 'Give the token whatsapp_business_messaging for this account, then resume the sender.',
});
const ACCOUNT_CALL_LIMIT = entry('retry-later', {
  title: 'Call limit of the account reached',
  meaning: 'The app or the WhatsApp Business account made more API calls than its limit allows.',
  personShould: 'Look for other programs that call the API with this account.',
  retryAfterMs: 5 * MINUTE_MS,
});
const WRONG_PARAMETERS = 'Correct the message and send it as a new one.';
const INBOUND_ONLY = entry('payload', {
  title: 'Incoming content not available',
  meaning: 'Content of an incoming message cannot be read or downloaded; this does not concern sending.',
  personShould: 'Ask the customer to send it again.',
});
const NOT_SENDING = entry('payload', {
  title: 'Not an error of sending',
  meaning: 'A code of calling, blocking, Flows or template administration, which a message should not meet.',
  personShould: 'Read the details that Meta gave; check that the phone number id belongs to a sending number.',
});
const GROUP_ERROR = entry('payload', {
  title: 'Group error',
  meaning: 'WhatsApp groups are concerned: the group, its members or a cursor is not what the call needs.',
  personShould: 'Read the details that Meta gave and correct the group.',
});
const TEMPLATE_PARAMETERS = (meaning: string): ProviderErrorEntry =>
  entry('payload', {
    title: 'Template parameters do not fit',
    meaning,
    personShould: 'Compare the parameters with the approved template and send a corrected message.',
  });
const REGISTRATION_PERSON = (meaning: string): ProviderErrorEntry =>
  entry('sender-pause', {
    title: 'Number registration needs a person',
    meaning,
    personShould: 'Finish the registration in the WhatsApp Manager, then resume the sender.',
  });

export const CLOUD_ERRORS: Readonly<Record<number, ProviderErrorEntry>> = {
  0: TOKEN_DEAD,
  1: entry('retry-soon', {
    title: 'Bad request or server fault',
    meaning: 'Meta could not process the call: either the request is wrong or the server had a fault.',
    waxwingDoes: 'Tries three times within seconds, then fails the message.',
    personShould: 'If it stays, compare the message with the API reference.',
    attemptsMax: 3,
    whenReportedLater: { waitMs: MINUTE_MS, retriesMax: 1 },
  }),
  2: entry('retry-soon', {
    title: 'Service temporarily unavailable',
    meaning: 'WhatsApp is overloaded or being upgraded; this can last some five minutes.',
    personShould: 'Nothing; look at metastatus.com if it lasts.',
    whenReportedLater: WHATSAPP_FAILED,
  }),
  3: entry('credentials', {
    title: 'Capability or permission missing',
    meaning: 'The app has not the capability for this call; it is no server fault in spite of its HTTP status.',
    personShould: "Check the app's permissions and access level, then resume the sender.",
  }),
  4: ACCOUNT_CALL_LIMIT,
  10: PERMISSION_MISSING,
  33: entry('sender-pause', {
    title: 'Phone number deleted',
    meaning: 'The business phone number of this sender was deleted.',
    personShould: 'Check the phone number id; move the queue to another sender if the number is gone.',
  }),
  100: entry('payload', {
    title: 'Parameter not supported',
    meaning: 'A parameter is misspelt or not supported. Meta also answers so when the token does not know the id.',
    personShould: `${WRONG_PARAMETERS} If every message fails so, check the phone number id and the token.`,
    byDetails: [
      {
        pattern: /object with id .* does not exist|unsupported post request/i,
        entry: entry('sender-pause', {
          title: 'Phone number id not known to the token',
          meaning: 'The token does not know the phone number id of this sender, or may not use it.',
          personShould: 'Check the phone number id and the token of the sender, then resume the sender.',
        }),
      },
    ],
  }),
  190: TOKEN_DEAD,
  368: entry('sender-pause', {
    title: 'Account restricted for policy',
    meaning: 'The WhatsApp Business account is restricted or disabled for a policy violation.',
    personShould: 'Read the notice in the Business Support Home, appeal if you can, then resume the sender.',
  }),
  613: entry('retry-later', {
    title: 'Call rate limit reached',
    meaning: 'The Graph API limits how often this call may be made.',
    personShould: 'Look for other programs that call the API with this app.',
    retryAfterMs: 5 * MINUTE_MS,
  }),
  80007: ACCOUNT_CALL_LIMIT,
  80008: entry('retry-later', {
    title: 'Management call limit reached',
    meaning: 'The account made too many management calls; sending is not limited by it.',
    personShould: 'Make fewer template and number queries.',
    retryAfterMs: 5 * MINUTE_MS,
  }),
  130403: entry('recipient', {
    title: 'Blocked by the business',
    meaning: 'Your business has blocked this user.',
    personShould: 'Unblock the user if the message should reach them.',
  }),
  130429: entry('sender-slow', {
    title: 'Throughput of the number exceeded',
    meaning: 'The number sent more messages per second than WhatsApp allows it.',
    personShould: 'Check whether another program sends on this number; lower the rate of the sender if it is so.',
    retryAfterMs: SECOND_MS,
    whenReportedLater: WHATSAPP_FAILED,
  }),
  130472: entry('recipient', {
    title: 'Recipient is in an experiment',
    meaning: 'Meta withholds marketing messages from this user as part of an experiment.',
    personShould: 'Do not resend the marketing message; other categories still arrive.',
  }),
  130497: entry('recipient', {
    title: 'Country not allowed',
    meaning: "The account may not message users in the recipient's country.",
    personShould: 'Stop sending to this country, or check the restrictions of your category of business.',
  }),
  131000: entry('retry-soon', {
    title: 'Unknown failure',
    meaning: 'WhatsApp failed for a reason that it does not name; it happens now and then.',
    personShould: 'Nothing, unless it keeps happening for one message: then report it to Meta with the trace id.',
    whenReportedLater: WHATSAPP_FAILED,
  }),
  131005: PERMISSION_MISSING,
  131008: entry('payload', {
    title: 'Required parameter missing',
    meaning: 'The message lacks a parameter that its type needs.',
    personShould: WRONG_PARAMETERS,
  }),
  131009: entry('payload', {
    title: 'Parameter value not valid',
    meaning: 'A value in the message is not allowed; for a reaction, the message reacted to is too old or unknown.',
    personShould: WRONG_PARAMETERS,
  }),
  131016: entry('retry-soon', {
    title: 'Service unavailable',
    meaning: 'A service of WhatsApp is not available for the moment.',
    personShould: 'Nothing; look at metastatus.com if it lasts.',
    whenReportedLater: WHATSAPP_FAILED,
  }),
  131020: GROUP_ERROR,
  131021: entry('recipient', {
    title: 'Sender and recipient are the same',
    meaning: 'The message is addressed to the number that sends it.',
    personShould: 'Address the message to another number.',
  }),
  131026: entry('recipient', {
    title: 'Message undeliverable',
    meaning:
      'The recipient has no WhatsApp, has not accepted its terms, uses a very old app, or blocked the business. Meta does not say which.',
    personShould: 'Check the number, or reach the customer in another way.',
  }),
  131030: entry('recipient', {
    title: 'Recipient not on the allow list',
    meaning: 'The sender is a test number, which may write only to the numbers on its list.',
    personShould: 'Add the recipient in the app dashboard, or use a real number.',
  }),
  131031: entry('sender-pause', {
    title: 'Business account locked',
    meaning: 'The account is locked, for a policy violation or because its data could not be verified.',
    personShould: 'Read the notice in the Business Support Home; resume the sender when the lock is lifted.',
  }),
  131037: entry('sender-pause', {
    title: 'Display name not approved',
    meaning: 'The display name of the number is not approved yet.',
    personShould: 'Have the display name approved in the WhatsApp Manager, then resume the sender.',
  }),
  131041: GROUP_ERROR,
  131042: entry('sender-pause', {
    title: 'Payment problem',
    meaning: 'The account has no valid payment method or an open bill.',
    personShould: 'Settle the payment in the Business Manager, then resume the sender.',
  }),
  131043: entry('payload', {
    title: 'Message expired at WhatsApp',
    meaning: 'WhatsApp gave the message up before it could deliver it.',
    personShould: 'Send it anew if it still matters.',
  }),
  131044: entry('sender-pause', {
    title: 'Payment needed for calling',
    meaning: 'The account lacks a payment method for calls; messages should not meet this code.',
    personShould: 'Add a payment method in the Business Manager, then resume the sender.',
  }),
  131045: entry('sender-pause', {
    title: 'Number not registered correctly',
    meaning: 'The registration or the certificate of the number is wrong.',
    personShould: 'Register the number again, then resume the sender.',
  }),
  131047: entry('payload', {
    title: 'More than 24 hours since the last answer',
    meaning: "The customer's last message is more than 24 hours old; only a template may be sent now.",
    personShould: 'Send an approved template, or wait until the customer writes.',
    waxwingDoes:
      'Fails the message at once when the answer says so. When a status says so later it tries once more after five minutes, because WhatsApp is known to report this inside the window now and then.',
    whenReportedLater: { waitMs: 5 * MINUTE_MS, retriesMax: 1 },
  }),
  131048: entry('sender-pause', {
    title: 'Number limited for spam or low quality',
    meaning: 'Too many recipients blocked or reported the number; WhatsApp limits it for hours.',
    waxwingDoes: 'Pauses the sender and keeps its messages queued: sending on would prolong the limit.',
    personShould: "Look at the number's quality in the WhatsApp Manager, send less marketing, resume the sender later.",
  }),
  131049: entry('retry-later', {
    title: 'Withheld by Meta for this recipient',
    meaning: 'Meta limits how many marketing messages a user gets from all businesses together.',
    waxwingDoes: 'Waits at least 24 hours and tries once more: earlier tries can get the recipient blocked for a day.',
    personShould: 'Send less marketing to this recipient; other categories are not limited.',
    retryAfterMs: 24 * HOUR_MS,
    attemptsMax: 2,
    whenReportedLater: { waitMs: 24 * HOUR_MS, retriesMax: 1 },
  }),
  131050: entry('recipient', {
    title: 'Recipient stopped marketing',
    meaning: 'The user chose to get no marketing messages from this business.',
    personShould: 'Record the opt-out and send no marketing to this recipient.',
  }),
  131051: entry('payload', {
    title: 'Message type not supported',
    meaning: 'WhatsApp does not support this type of message.',
    personShould: WRONG_PARAMETERS,
  }),
  131052: INBOUND_ONLY,
  131053: entry('payload', {
    title: 'Media cannot be used',
    meaning: 'The media has a type or size that is not allowed, or Meta could not fetch it from its link.',
    waxwingDoes: 'Fails the message when the media has an id; a link is tried once more, later.',
    personShould: 'Check the size and type of the file, and that the link opens without a login.',
    classForLink: 'retry-later',
    attemptsMax: 2,
    whenReportedLater: { waitMs: 15 * MINUTE_MS, retriesMax: 1, onlyForLink: true },
  }),
  131055: entry('payload', {
    title: 'Method not allowed',
    meaning: 'Only marketing messages may use the Marketing Messages API.',
    personShould: 'Send this message through the Cloud API.',
  }),
  131056: entry('pair', {
    title: 'Too many messages to this recipient',
    meaning: 'WhatsApp allows one message in six seconds to one user, with some burst.',
    personShould: 'Nothing; join short texts into one message if it happens often.',
    whenReportedLater: { waitMs: 5 * MINUTE_MS, retriesMax: 2 },
  }),
  131057: entry('sender-slow', {
    title: 'Number in maintenance',
    meaning: 'Meta works on the number, for example to raise its throughput; it takes up to a minute.',
    waxwingDoes: 'Holds the sender for a minute, counts no attempt, then goes on.',
    personShould: 'Nothing.',
    retryAfterMs: MINUTE_MS,
    whenReportedLater: WHATSAPP_FAILED,
  }),
  131059: GROUP_ERROR,
  131060: INBOUND_ONLY,
  131062: entry('payload', {
    title: 'User id not possible for this message',
    meaning: 'Authentication templates need a phone number; a business-scoped user id is not accepted.',
    personShould: 'Send the message to the phone number.',
  }),
  131063: entry('payload', {
    title: 'Marketing templates switched off',
    meaning: 'Marketing templates are off for the Cloud API on this account.',
    personShould: 'Change the setting in the WhatsApp Manager, or send through the Marketing Messages API.',
  }),
  131064: entry('sender-pause', {
    title: 'Limited for misclassified templates',
    meaning: 'Templates were filed under a wrong category; Meta limits the account and lifts that by itself.',
    personShould: 'Correct the categories; resume the sender when the limit is lifted.',
  }),
  131207: entry('recipient', {
    title: 'Group suspended',
    meaning: 'WhatsApp suspended this group.',
    personShould: 'Stop sending to this group.',
  }),
  131208: entry('retry-later', {
    title: 'Group rate limit reached',
    meaning: 'Too many messages or calls for this group.',
    personShould: 'Nothing; send less to this group if it happens often.',
    retryAfterMs: MINUTE_MS,
  }),
  132000: TEMPLATE_PARAMETERS('The number of parameters is not that of the template.'),
  132001: entry('template', {
    title: 'Template not found',
    meaning: 'The template does not exist in this language, or is not approved yet.',
    personShould: 'Check name and language; wait a minute if the template was approved just now.',
  }),
  132005: TEMPLATE_PARAMETERS('The text with its parameters filled in is too long.'),
  132007: entry('template', {
    title: 'Template breaks a policy',
    meaning: "The template's content breaks a policy of WhatsApp.",
    personShould: 'Read the reason in the WhatsApp Manager and change the template.',
  }),
  132008: TEMPLATE_PARAMETERS('A parameter has a value that is not allowed.'),
  132012: TEMPLATE_PARAMETERS('A parameter has another format than the template expects.'),
  132015: entry('template', {
    title: 'Template paused',
    meaning: 'WhatsApp paused the template for low quality.',
    personShould: 'Improve the template or wait until the pause ends; it goes on when WhatsApp says APPROVED.',
  }),
  132016: entry('template', {
    title: 'Template disabled',
    meaning: 'WhatsApp disabled the template for good, after several pauses for low quality.',
    personShould: 'Make a new template with other content.',
  }),
  132018: TEMPLATE_PARAMETERS('A parameter did not pass the validation of the template.'),
  132068: entry('payload', {
    title: 'Flow blocked',
    meaning: 'The Flow is blocked.',
    personShould: 'Correct the Flow in the WhatsApp Manager.',
  }),
  132069: entry('retry-later', {
    title: 'Flow throttled',
    meaning: 'The Flow is limited to ten messages an hour until it is healthy again.',
    personShould: "Correct the Flow's endpoint; look at its health in the WhatsApp Manager.",
    retryAfterMs: HOUR_MS,
  }),
  133000: entry('retry-later', {
    title: 'Deregistration incomplete',
    meaning: 'An earlier deregistration of the number did not finish.',
    personShould: 'Deregister the number again, then register it.',
  }),
  133004: entry('retry-soon', {
    title: 'Registration server unavailable',
    meaning: 'The server that registers numbers is not available for the moment.',
    personShould: 'Nothing; look at metastatus.com if it lasts.',
  }),
  133005: REGISTRATION_PERSON('The two-step verification PIN is wrong.'),
  133006: REGISTRATION_PERSON('The number must be verified before it can be registered.'),
  133008: REGISTRATION_PERSON('The PIN was guessed too often; wait as long as the details say.'),
  133009: REGISTRATION_PERSON('The PIN was entered too fast; wait as long as the details say.'),
  133010: entry('sender-pause', {
    title: 'Number not registered',
    meaning: 'The number is not registered on the WhatsApp Business platform.',
    personShould: 'Register the number, then resume the sender.',
  }),
  133015: entry('retry-later', {
    title: 'Number just deleted',
    meaning: 'The number was deleted a moment ago and cannot be registered yet.',
    personShould: 'Wait five minutes, then register it.',
    retryAfterMs: 5 * MINUTE_MS,
  }),
  133016: entry('retry-later', {
    title: 'Registered too often',
    meaning: 'The number was registered more than ten times in 72 hours and is blocked for 72 hours.',
    personShould: 'Register the number after 72 hours.',
    retryAfterMs: 72 * HOUR_MS,
  }),
  134011: entry('payload', {
    title: 'Payment terms not accepted',
    meaning: 'The terms of WhatsApp payments were not accepted.',
    personShould: 'Accept the terms in the WhatsApp Manager.',
  }),
  134100: entry('payload', {
    title: 'Only marketing messages',
    meaning: 'The Marketing Messages API takes marketing templates only.',
    personShould: 'Send this message through the Cloud API.',
  }),
  134101: entry('retry-later', {
    title: 'Template still syncing',
    meaning: 'The template is not known to the Marketing Messages API yet; that takes some ten minutes.',
    personShould: 'Nothing.',
    retryAfterMs: 10 * MINUTE_MS,
  }),
  134102: entry('template', {
    title: 'Template not available',
    meaning: 'The template cannot be used with the Marketing Messages API.',
    personShould: 'Use another template, or send this one through the Cloud API.',
  }),
  135000: entry('payload', {
    title: 'Message refused',
    meaning: 'WhatsApp refused the message without naming a reason.',
    personShould: `${WRONG_PARAMETERS} Compare it with the API reference.`,
  }),
  137000: entry('recipient', {
    title: "Recipient's identity changed",
    meaning: 'The identity key of the recipient changed, and the identity check is switched on.',
    personShould: 'Confirm that the number still belongs to your customer, then send the message anew.',
  }),
};

/** Codes that come as ranges; an entry of its own in `CLOUD_ERRORS` goes first. Both ends belong to the range. */
export const CLOUD_ERROR_RANGES: readonly { from: number; to: number; entry: ProviderErrorEntry }[] = [
  { from: 200, to: 299, entry: PERMISSION_MISSING },
  { from: 131201, to: 131214, entry: GROUP_ERROR },
  { from: 138000, to: 139999, entry: NOT_SENDING },
  { from: 2_388_000, to: 2_388_999, entry: NOT_SENDING },
];

/** An unknown code of Meta's servers: they may have a bad day, so it is tried again, but not for ever. */
export const UNKNOWN_TRANSIENT: ProviderErrorEntry = entry('retry-later', {
  title: 'Unknown error of WhatsApp, said to pass',
  meaning: 'WhatsApp answered with a code that Waxwing does not know and that is marked as passing.',
  waxwingDoes: 'Tries again on the slow schedule, five attempts in all, and counts the code under its own number.',
  personShould: 'Look the code up in the reference of WhatsApp errors.',
  attemptsMax: 5,
});

/** An unknown code that blames the request: most are final, but one more try is cheaper than a message lost. */
export const UNKNOWN_REFUSAL: ProviderErrorEntry = entry('retry-later', {
  title: 'Unknown error of WhatsApp',
  meaning: 'WhatsApp refused the message with a code that Waxwing does not know.',
  waxwingDoes: 'Tries once more on the slow schedule, then fails the message; counts the code under its own number.',
  personShould: 'Look the code up in the reference of WhatsApp errors.',
  attemptsMax: 2,
});
