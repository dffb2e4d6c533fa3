/** One entry of the catalogue. Codes are never reused; `docs/errors.md` lists the same codes (a test compares). */
export interface ErrorEntry {
  /** HTTP status of the answer. */
  readonly status: number;
  /** Is it sensible to send the same request again. */
  readonly retryable: boolean;
  /** Short title, the same for every occurrence. */
  readonly title: string;
  /** What the caller should do, unless the occurrence says it better. */
  readonly detail: string;
  readonly retryAfterSeconds?: number;
}

export const ERRORS = {
  REQUEST_INVALID: {
    status: 400,
    retryable: false,
    title: 'The request is not valid',
    detail: 'Correct the field that is named and send the request again.',
  },
  REQUEST_NOT_JSON: {
    status: 400,
    retryable: false,
    title: 'The body is not JSON',
    detail: 'Send a JSON object with content-type application/json.',
  },
  UNAUTHORIZED: {
    status: 401,
    retryable: false,
    title: 'No valid key',
    detail: 'Send Authorization: Bearer with a platform key, a tenant key or, for administration, a JWT.',
  },
  FORBIDDEN: {
    status: 403,
    retryable: false,
    title: 'Not allowed',
    detail: 'This key may not do this.',
  },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    title: 'Not found',
    detail: 'Nothing is known under this id or path.',
  },
  CONFLICT: {
    status: 409,
    retryable: false,
    title: 'Not possible in this state',
    detail: 'Read the resource again: its state does not allow this.',
  },
  CONFIRMATION_NEEDED: {
    status: 409,
    retryable: false,
    title: 'This must be confirmed',
    detail: 'Send the same again with confirm set to the shard that it is for.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    title: 'The body is too large',
    detail: 'Send less in one request.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    retryable: false,
    title: 'The idempotency key was used for another body',
    detail: 'Use a new Idempotency-Key for a new message.',
  },
  MESSAGE_UNSUPPORTED: {
    status: 422,
    retryable: false,
    title: "The sender's provider cannot send this message",
    detail: 'Send another type of message, or through a sender of another provider.',
  },
  SENDER_MISSING: {
    status: 422,
    retryable: false,
    title: 'No sender is set up',
    detail:
      'Set WHATSAPP_PHONE_NUMBER_ID and WHATSAPP_ACCESS_TOKEN, or create a sender for the tenant through POST /admin/senders.',
  },
  TOO_MANY_ATTEMPTS: {
    status: 429,
    retryable: true,
    title: 'Too many tries',
    detail: 'Wait for the given time and try again.',
    retryAfterSeconds: 60,
  },
  BACKLOG_FULL: {
    status: 429,
    retryable: true,
    title: "The tenant's backlog is full",
    detail: 'Nothing was stored. Send again when the backlog has shrunk.',
    retryAfterSeconds: 5,
  },
  QUEUE_UNAVAILABLE: {
    status: 503,
    retryable: true,
    title: 'The queue cannot be reached',
    detail: 'Send again after the given time; use an Idempotency-Key so that it cannot be accepted twice.',
    retryAfterSeconds: 2,
  },
  QUEUE_FULL: {
    status: 503,
    retryable: true,
    title: 'The queue has no room',
    detail: 'Nothing was stored. Sending goes on; send again after the given time.',
    retryAfterSeconds: 10,
  },
  RECORD_UNAVAILABLE: {
    status: 503,
    retryable: true,
    title: 'The record cannot be reached',
    detail: 'Messages are still accepted and sent; reading needs PostgreSQL. Try again after the given time.',
    retryAfterSeconds: 5,
  },
  SIGN_IN_UNAVAILABLE: {
    status: 503,
    retryable: true,
    title: 'The identity provider cannot be reached',
    detail: 'Its keys at JWT_JWKS_URL cannot be fetched. Try again, or use a token that `waxwing token` made.',
    retryAfterSeconds: 5,
  },
  DIRECT_NOT_SENT: {
    status: 503,
    retryable: true,
    title: 'The message was not sent',
    detail: 'The queue is bypassed and the message could not go now. Nothing was stored; send it again.',
    retryAfterSeconds: 5,
  },
  DIRECT_REFUSED: {
    status: 422,
    retryable: false,
    title: 'The provider refused the message',
    detail: 'It was sent past the queue and refused for good; correct the message.',
  },
  DIRECT_UNKNOWN: {
    status: 502,
    retryable: false,
    title: 'It is not known whether the message was sent',
    detail: 'The queue was bypassed and the answer of the provider was lost. Sending again can send it twice.',
  },
  TEMPLATE_REFUSED: {
    status: 422,
    retryable: false,
    title: 'The provider refused the template',
    detail: 'Nothing was made. Correct what the provider names and send it again.',
  },
  PROVIDER_UNREACHABLE: {
    status: 503,
    retryable: true,
    title: 'The provider did not answer',
    detail: 'Try again in a moment.',
    retryAfterSeconds: 10,
  },
  SHUTTING_DOWN: {
    status: 503,
    retryable: true,
    title: 'This process is stopping',
    detail: 'Send again; another process will answer.',
    retryAfterSeconds: 1,
  },
  INTERNAL: {
    status: 500,
    retryable: true,
    title: 'Internal error',
    detail: 'Something went wrong on our side; the log has the request id.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
