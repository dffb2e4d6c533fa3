import { badParameter, badValue, missing, objectAt, oneOf, onlyKeys, optionalTextAt, textAt } from './checks.ts';
import { checkContent, SENDABLE_TYPES } from './content.ts';
import { GraphError } from './graph-error.ts';
import { phoneDigits, waIdOf } from './identity.ts';
import { isPlainObject } from './settings.ts';

/** A body of `POST /{phone_number_id}/messages` that is well formed. */
export type ParsedRequest = ParsedMessage | ParsedRead;

export interface ParsedRead {
  readonly kind: 'read' | 'typing';
  /** The customer's message that was read. */
  readonly messageId: string;
}

export interface ParsedMessage {
  readonly kind: 'message';
  /** `to` or `recipient` as the caller wrote it. */
  readonly input: string;
  /** The canonical recipient: wa_id, business-scoped user id or group id. Pairs and conversations are keyed by it. */
  readonly party: string;
  readonly partyKind: 'phone' | 'user' | 'group';
  readonly type: string;
  readonly content: unknown;
  readonly contextId: string | null;
  /** `biz_opaque_callback_data`. */
  readonly tag: string | null;
}

const READ_KEYS = new Set(['messaging_product', 'status', 'message_id', 'typing_indicator']);
const TOP_KEYS = new Set([
  'messaging_product',
  'recipient_type',
  'to',
  'recipient',
  'type',
  'context',
  'biz_opaque_callback_data',
  ...SENDABLE_TYPES,
]);
const USER_ID = /^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$/;

/** Reads a body as the Cloud API does. Throws the `GraphError` that it would answer with. */
export function parseRequest(body: unknown, strict: boolean): ParsedRequest {
  if (!isPlainObject(body)) throw badParameter('The body must be a JSON object.');
  if (body['messaging_product'] === undefined)
    throw new GraphError(100, { message: '(#100) The parameter messaging_product is required.', details: '' });
  oneOf(body['messaging_product'], 'messaging_product', ['whatsapp']);
  return body['status'] === undefined ? parseMessage(body, strict) : parseRead(body, strict);
}

function parseRead(body: Record<string, unknown>, strict: boolean): ParsedRead {
  onlyKeys(body, '', READ_KEYS, strict);
  oneOf(body['status'], 'status', ['read']);
  const messageId = textAt(body['message_id'], 'message_id', 512);
  if (!messageId.startsWith('wamid.')) throw badParameter('Param message_id is not a valid WhatsApp message id.');
  if (body['typing_indicator'] === undefined) return { kind: 'read', messageId };
  oneOf(objectAt(body['typing_indicator'], 'typing_indicator')['type'], "typing_indicator['type']", ['text']);
  return { kind: 'typing', messageId };
}

function parseMessage(body: Record<string, unknown>, strict: boolean): ParsedMessage {
  onlyKeys(body, '', TOP_KEYS, strict);
  const group =
    body['recipient_type'] !== undefined &&
    oneOf(body['recipient_type'], 'recipient_type', ['individual', 'group']) === 'group';
  const recipient = parseRecipient(body, group);
  // The API takes a text message without `type`.
  const type = oneOf(body['type'] ?? 'text', 'type', SENDABLE_TYPES);
  checkContent(type, body[type], strict);
  const { context, biz_opaque_callback_data: tag } = body;
  optionalTextAt(tag, 'biz_opaque_callback_data', 512);
  const contextId =
    context === undefined ? null : textAt(objectAt(context, 'context')['message_id'], "context['message_id']", 512);
  return {
    kind: 'message',
    ...recipient,
    type,
    content: body[type],
    contextId,
    tag: typeof tag === 'string' ? tag : null,
  };
}

function parseRecipient(
  body: Record<string, unknown>,
  group: boolean,
): Pick<ParsedMessage, 'input' | 'party' | 'partyKind'> {
  const { to, recipient } = body;
  // When both are given, `to` wins.
  if (to !== undefined) {
    const input = textAt(to, 'to', 128);
    if (group) return { input, party: input, partyKind: 'group' };
    const digits = phoneDigits(input);
    if (digits === null) throw badValue(`Param to is not a valid phone number.`);
    return { input, party: waIdOf(digits), partyKind: 'phone' };
  }
  if (recipient === undefined) {
    if (group) throw missing('to');
    throw new GraphError(100, { message: '(#100) The parameter to is required.', details: '' });
  }
  const input = textAt(recipient, 'recipient', 140);
  if (!USER_ID.test(input)) throw badValue('Param recipient is not a valid business-scoped user id.');
  return { input, party: input, partyKind: 'user' };
}
