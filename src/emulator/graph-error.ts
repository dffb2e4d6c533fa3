import { randomBytes } from 'node:crypto';

interface GraphErrorEntry {
  readonly status: number;
  readonly title: string;
  /** What `error_data.details` says unless the occurrence says it better. */
  readonly details: string;
}

/**
 * Meta's error codes with the HTTP status that an older public copy of its table gave (the current page has none).
 * Clients should build on `code` and `details`; rules may override the status.
 */
const GRAPH_ERRORS: Readonly<Record<number, GraphErrorEntry>> = {
  0: { status: 401, title: 'AuthException', details: 'We were unable to authenticate the app user.' },
  1: { status: 400, title: 'API Unknown', details: 'Invalid request or possible server error.' },
  2: { status: 503, title: 'API Service', details: 'Temporary due to downtime or due to being overloaded.' },
  3: { status: 500, title: 'API Method', details: 'Capability or permissions issue.' },
  4: { status: 429, title: 'API Too Many Calls', details: 'The app has reached its API call rate limit.' },
  10: { status: 403, title: 'Permission Denied', details: 'Permission is either not granted or has been removed.' },
  33: { status: 400, title: 'Parameter value is not valid', details: 'The business phone number has been deleted.' },
  100: { status: 400, title: 'Invalid parameter', details: 'The request has unsupported or misspelled parameters.' },
  190: { status: 401, title: 'Invalid OAuth access token', details: 'Your access token has expired.' },
  200: { status: 403, title: 'Permissions error', details: 'API permission is not granted or has been removed.' },
  368: { status: 403, title: 'Temporarily blocked for policies violations', details: 'The account is restricted.' },
  613: { status: 400, title: 'Calls to this api have exceeded the rate limit', details: 'Call rate limit reached.' },
  80007: { status: 429, title: 'Rate limit issues', details: 'The WhatsApp Business Account reached its rate limit.' },
  130403: { status: 400, title: 'User is blocked', details: 'The business has blocked this user.' },
  130429: {
    status: 429,
    title: 'Rate limit hit',
    details: 'Message failed to send because there were too many messages sent from this phone number in a short time.',
  },
  130472: {
    status: 400,
    title: "User's number is part of an experiment",
    details: "Failed to send message because this user's phone number is part of an experiment.",
  },
  130497: {
    status: 403,
    title: 'Business account is restricted from messaging users in this country',
    details: 'The account may not message users in this country.',
  },
  131000: { status: 500, title: 'Something went wrong', details: 'Message failed to send due to an unknown error.' },
  131005: { status: 403, title: 'Access denied', details: 'Permission is either not granted or has been removed.' },
  131008: { status: 400, title: 'Required parameter is missing', details: 'A required parameter is missing.' },
  131009: { status: 400, title: 'Parameter value is not valid', details: 'One or more parameter values are invalid.' },
  131016: { status: 500, title: 'Service unavailable', details: 'A service is temporarily unavailable.' },
  131021: {
    status: 400,
    title: 'Recipient cannot be sender',
    details: 'Sender and recipient phone number is the same.',
  },
  131026: { status: 400, title: 'Message undeliverable', details: 'Unable to deliver message.' },
  131030: {
    status: 400,
    title: 'Recipient phone number not in allowed list',
    details: 'Recipient phone number not in allowed list: add it to the recipients of the test number.',
  },
  131031: { status: 403, title: 'Account has been locked', details: 'The business account is locked.' },
  131037: { status: 400, title: 'Display name approval needed', details: 'The display name is not approved.' },
  131042: { status: 400, title: 'Business eligibility payment issue', details: 'There is a payment problem.' },
  131045: { status: 500, title: 'Incorrect certificate', details: 'Phone number registration error.' },
  131047: {
    status: 400,
    title: 'Re-engagement message',
    details:
      'Message failed to send because more than 24 hours have passed since the customer last replied to this number.',
  },
  131048: { status: 400, title: 'Spam rate limit hit', details: 'The number is limited because of its quality.' },
  131049: {
    status: 400,
    title: 'Meta chose not to deliver',
    details: 'This message was not delivered to maintain healthy ecosystem engagement.',
  },
  131050: { status: 400, title: 'User has stopped marketing messages', details: 'The user opted out of marketing.' },
  131051: { status: 400, title: 'Unsupported message type', details: 'Message type is currently not supported.' },
  131052: { status: 400, title: 'Media download error', details: 'Unable to download the media sent by the user.' },
  131053: { status: 400, title: 'Media upload error', details: 'Unable to upload the media used in the message.' },
  131056: {
    status: 429,
    title: '(Business Account, Consumer Account) pair rate limit hit',
    details:
      'Message failed to send because there were too many messages sent from this phone number to the same phone number in a short time.',
  },
  131057: { status: 500, title: 'Account in maintenance mode', details: 'The account is in maintenance mode.' },
  131062: { status: 400, title: 'Recipient not supported', details: 'This message type needs a phone number.' },
  131064: { status: 400, title: 'Template category limited', details: 'Limited for misclassified templates.' },
  132000: {
    status: 400,
    title: 'Number of parameters does not match the expected number of params',
    details: 'The number of variable parameter values does not match the template.',
  },
  132001: {
    status: 404,
    title: 'Template name does not exist in the translation',
    details: 'The template does not exist in the specified language or it has not been approved.',
  },
  132005: { status: 400, title: 'Translated text too long', details: 'The filled template is too long.' },
  132007: { status: 400, title: 'Template format character policy violated', details: 'Template violates a policy.' },
  132012: { status: 400, title: 'Parameter format does not match format in the created template', details: '' },
  132015: { status: 400, title: 'Template is paused', details: 'Template is paused due to low quality.' },
  132016: { status: 400, title: 'Template is disabled', details: 'Template has been paused too many times.' },
  132068: { status: 400, title: 'Flow is blocked', details: 'Flow is in blocked state.' },
  132069: { status: 400, title: 'Flow is throttled', details: 'Flow is in throttled state.' },
  133004: { status: 503, title: 'Server temporarily unavailable', details: 'The registration server is down.' },
  133010: { status: 400, title: 'Phone number not registered', details: 'Phone number not registered.' },
  134102: { status: 400, title: 'Template unavailable', details: 'The template is not available for use.' },
  135000: { status: 400, title: 'Generic user error', details: 'Message failed to send: unknown error with request.' },
};

const UNKNOWN: GraphErrorEntry = { status: 400, title: 'Unknown error', details: 'An unknown error occurred.' };

/** Title, HTTP status and usual details of a code; a code that is not in the table is an unknown error with 400. */
export function graphErrorEntry(code: number): GraphErrorEntry {
  return GRAPH_ERRORS[code] ?? UNKNOWN;
}

export interface GraphErrorOptions {
  readonly details?: string;
  readonly status?: number;
  readonly subcode?: number;
  /** Replaces the usual `(#code) title`. */
  readonly message?: string;
  readonly transient?: boolean;
}

/** A definite refusal, in the shape that the Graph API gives it. */
export class GraphError extends Error {
  override readonly name = 'GraphError';
  readonly code: number;
  readonly status: number;
  readonly details: string;
  readonly subcode: number | undefined;
  readonly transient: boolean;

  constructor(code: number, options: GraphErrorOptions = {}) {
    const entry = graphErrorEntry(code);
    super(options.message ?? `(#${code}) ${entry.title}`);
    this.code = code;
    this.status = options.status ?? entry.status;
    this.details = options.details ?? entry.details;
    this.subcode = options.subcode;
    this.transient = options.transient ?? false;
  }

  /** The answer's body. Every call makes a new `fbtrace_id`. */
  envelope(): unknown {
    return {
      error: {
        message: this.message,
        type: 'OAuthException',
        code: this.code,
        ...(this.subcode === undefined ? {} : { error_subcode: this.subcode }),
        ...(this.details ? { error_data: { messaging_product: 'whatsapp', details: this.details } } : {}),
        ...(this.transient ? { is_transient: true } : {}),
        fbtrace_id: newTraceId(),
      },
    };
  }
}

export function newTraceId(): string {
  return `A${randomBytes(17).toString('base64url')}`.slice(0, 23);
}

/** An error as status webhooks carry it. */
export function webhookError(code: number, details?: string): Record<string, unknown> {
  const entry = graphErrorEntry(code);
  return {
    code,
    title: entry.title,
    message: entry.title,
    error_data: { details: details ?? entry.details },
    href: 'https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/',
  };
}
