import type { MessageBody } from '../../model/message.ts';
import type { SenderAccount } from '../contract.ts';

/** What goes over the wire: everything but the connection. */
export interface CloudRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The sender cannot be used as it is stored; `message` says which part and what to do, and holds no secret. */
export class AccountError extends Error {
  /** `credentials`: the token; `address`: the API's address or the phone number id. */
  readonly part: 'credentials' | 'address';
  constructor(part: 'credentials' | 'address', message: string) {
    super(message);
    this.part = part;
  }
}

/** The object that Meta's API takes for one message. `to` always carries its `+`. */
export function messagePayload(body: MessageBody, tag: string): Record<string, unknown> {
  return {
    messaging_product: 'whatsapp',
    recipient_type: 'individual',
    ...recipientOf(body),
    type: body.type,
    [body.type]: body.content,
    ...(body.context === undefined ? {} : { context: { message_id: body.context.message_id } }),
    biz_opaque_callback_data: tag,
  };
}

/** Marks a received message (and the thread before it) as read; with `typing`, also shows the typing indicator. */
export function markReadPayload(providerMessageId: string, typing: boolean): Record<string, unknown> {
  return {
    messaging_product: 'whatsapp',
    status: 'read',
    message_id: providerMessageId,
    ...(typing ? { typing_indicator: { type: 'text' } } : {}),
  };
}

/**
 * The request for one payload on one account.
 * @throws AccountError when the account's address or token cannot be used
 */
export function cloudRequest(account: SenderAccount, payload: Record<string, unknown>): CloudRequest {
  return {
    url: endpoint(account),
    headers: { authorization: `Bearer ${accessToken(account)}`, 'content-type': 'application/json' },
    body: JSON.stringify(payload),
  };
}

// Without the plus sign Meta may put the business's own country code in front: the message would reach a stranger.
function recipientOf(body: MessageBody): Record<string, string> {
  if (body.to !== undefined) return { to: body.to.startsWith('+') ? body.to : `+${body.to}` };
  if (body.recipient !== undefined) return { recipient: body.recipient };
  throw new Error('a message body has neither `to` nor `recipient`');
}

function endpoint(account: SenderAccount): URL {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(account.externalId)) {
    throw new AccountError('address', 'Set the phone number id of this sender, as the WhatsApp Manager shows it.');
  }
  const base = URL.canParse(account.apiUrl) ? new URL(account.apiUrl) : null;
  if (base === null || !['http:', 'https:'].includes(base.protocol)) {
    throw new AccountError('address', 'Set the API address of this sender, such as https://graph.facebook.com/v23.0.');
  }
  return new URL(`${base.pathname.replace(/\/+$/, '')}/${account.externalId}/messages`, base.origin);
}

function accessToken(account: SenderAccount): string {
  const token = account.credentials['accessToken'];
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) {
    throw new AccountError('credentials', 'Set the access token of this sender; it has no spaces or line breaks.');
  }
  return token;
}
