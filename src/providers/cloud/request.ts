import type { MessageBody } from '../../model/message.ts';
import { AccountError, baseUrl, headerSecret } from '../account-error.ts';
import type { SenderAccount } from '../contract.ts';

/** What goes over the wire: everything but the connection. */
export interface CloudRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
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
  const base = baseUrl(account.apiUrl, 'https://graph.facebook.com/v23.0');
  return new URL(`${base.pathname.replace(/\/+$/, '')}/${account.externalId}/messages`, base.origin);
}

function accessToken(account: SenderAccount): string {
  return headerSecret(account.credentials['accessToken'], 'access token');
}
