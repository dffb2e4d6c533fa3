import { AppError } from '../errors/app-error.ts';
import { type MessageBody, type MessageType, templateKey } from '../model/message.ts';
import { contentOf, parseRecipient } from './content/index.ts';
import { canonicalJson, digestOf, generateIdempotencyKey } from './fingerprint.ts';
import { invalid, type MessageRequest } from './request.ts';

const YEAR_MS = 366 * 24 * 3_600_000;
const METADATA_BYTES_MAX = 16 * 1024;
/** A single request may have 256 KiB; an item of a batch gets no more. */
const BODY_BYTES_MAX = 256 * 1024;
const PRIORITY_DEFAULT = 5;

/** What a valid request means, before it has a tenant, a sender and an id. */
export interface PreparedMessage {
  readonly contact: string;
  /** The caller's conversation, or the contact's own. */
  readonly conversation: string;
  readonly priority: number;
  readonly sendAtMs: number | null;
  readonly expiresAtMs: number | null;
  readonly type: MessageType;
  readonly body: MessageBody;
  readonly idempotency: { readonly key: string; readonly bodyDigest: Buffer } | null;
  /** The key was made of the content: a repetition is the same content, not the same request. */
  readonly isContentKey: boolean;
}

/**
 * Works out recipient, conversation, times and idempotency of a request that fits the schema.
 *
 * With `dedupe` the idempotency key is made of the content, so that the same text to the same person is one message
 * whatever else differs; an Idempotency-Key given beside it then has no work left, because a repeat of that request
 * repeats its content (decision 37).
 * @param nowMs wall clock, epoch ms
 * @throws AppError `REQUEST_INVALID`, `BODY_TOO_LARGE`
 */
export function prepareMessage(
  request: MessageRequest,
  options: {
    readonly idempotencyKey: string | undefined;
    readonly nowMs: number;
    /** What content de-duplication calls this kind of message; default its type. */
    readonly contentLabel?: string | undefined;
  },
): PreparedMessage {
  const { nowMs } = options;
  const address = readAddress(request);
  const { sendAtMs, expiresAtMs } = readTimes(request, nowMs, options.idempotencyKey !== undefined);
  checkMetadata(request.metadata);

  const content = contentOf(request);
  const { type, context } = request;
  const conversation = request.conversation ?? address.contact;
  const priority = request.priority ?? PRIORITY_DEFAULT;
  const idempotency = idempotencyOf();
  const template = templateKey(type, content);
  const body: MessageBody = {
    ...(template === undefined ? {} : { template }),
    ...(address.to === undefined ? {} : { to: address.to }),
    ...(address.recipient === undefined ? {} : { recipient: address.recipient }),
    type,
    content,
    ...(context === undefined ? {} : { context }),
    ...metadataOf(),
    ...(idempotency === null ? {} : { idempotencyKey: idempotency.key }),
    ...(sendAtMs === null ? {} : { sendAtMs }),
  };
  return {
    contact: address.contact,
    conversation,
    priority,
    sendAtMs,
    expiresAtMs,
    type,
    body,
    idempotency,
    isContentKey: request.dedupe === true,
  };

  /** A key made of the content is kept with the message, so that a person can see what counts as its repetition. */
  function metadataOf(): Pick<MessageBody, 'metadata'> {
    if (request.dedupe !== true || idempotency === null) {
      return request.metadata === undefined ? {} : { metadata: request.metadata };
    }
    return { metadata: { ...request.metadata, idempotencyKey: idempotency.key } };
  }

  function idempotencyOf(): PreparedMessage['idempotency'] {
    if (request.dedupe === true) {
      const said = canonicalJson({ content, context });
      const text = type === 'text' && context === undefined ? request.text.body : said;
      const key = generateIdempotencyKey(address.to ?? address.contact, text, {
        type: options.contentLabel ?? type,
      });
      return { key, bodyDigest: digestOf([address.contact, options.contentLabel ?? type, text]) };
    }
    if (options.idempotencyKey === undefined) return null;
    // Defaults are filled in and times are compared as instants: what means the same is the same body.
    const meaning = {
      to: address.to,
      recipient: address.recipient,
      conversation,
      type,
      content,
      context,
      priority,
      sendAt: instantOf(request.sendAt),
      expiresAt: instantOf(request.expiresAt),
      metadata: request.metadata ?? {},
    };
    return { key: options.idempotencyKey, bodyDigest: digestOf(meaning) };
  }
}

/** The one serialised form of a body; checked for size because an item of a batch may be as large as the batch. */
export function bodyText(body: MessageBody): string {
  const text = JSON.stringify(body);
  if (Buffer.byteLength(text) > BODY_BYTES_MAX) {
    throw new AppError('BODY_TOO_LARGE', { detail: 'One message may have at most 256 KiB as JSON.' });
  }
  return text;
}

interface Address {
  readonly to?: string;
  readonly recipient?: string;
  readonly contact: string;
}

function readAddress(request: MessageRequest): Address {
  if (request.to === undefined && request.recipient === undefined) {
    throw invalid('to', 'Say who gets the message: to (a phone number) or recipient (a business-scoped user id).');
  }
  if (request.to !== undefined && request.recipient !== undefined) {
    throw invalid('recipient', 'Give either to or recipient, not both.');
  }
  if (request.recipient !== undefined) return { recipient: request.recipient, contact: request.recipient };
  const parsed = parseRecipient(request.to ?? '');
  if (!parsed.ok) throw invalid('to', parsed.sentence);
  return { to: parsed.e164, contact: parsed.contact };
}

/** @param mayRepeat the request has a key: the message that it repeats may have expired since */
function readTimes(request: MessageRequest, nowMs: number, mayRepeat: boolean) {
  const sendAt = instantOf(request.sendAt);
  const expiresAt = instantOf(request.expiresAt);
  for (const [field, value] of [
    ['sendAt', sendAt],
    ['expiresAt', expiresAt],
  ] as const) {
    if (value !== null && value > nowMs + YEAR_MS) throw invalid(field, 'It must be at most one year ahead.');
  }
  // A time that has passed means now: a caller's clock may be ahead, and a late caller still wants it sent.
  const sendAtMs = sendAt !== null && sendAt > nowMs ? sendAt : null;
  if (expiresAt !== null && expiresAt <= nowMs && !mayRepeat) throw invalid('expiresAt', 'It must be in the future.');
  if (expiresAt !== null && sendAtMs !== null && expiresAt <= sendAtMs) {
    throw invalid('expiresAt', 'It must be later than sendAt.');
  }
  return { sendAtMs, expiresAtMs: expiresAt };
}

function instantOf(text: string | undefined): number | null {
  return text === undefined ? null : Date.parse(text);
}

function checkMetadata(metadata: unknown): void {
  if (metadata === undefined) return;
  if (Buffer.byteLength(JSON.stringify(metadata)) > METADATA_BYTES_MAX) {
    throw invalid('metadata', 'It may have at most 16 KiB as JSON; keep larger data on your side under an id.');
  }
}
