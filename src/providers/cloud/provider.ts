import type { MessageBody } from '../../model/message.ts';
import type { MessageProvider, ProviderOutcome, ProviderSend, SenderAccount } from '../contract.ts';
import { HttpExchange, type HttpExchangeOptions } from '../http-exchange.ts';
import { AccountError } from '../account-error.ts';
import { misconfigured, type Trouble } from '../outcomes.ts';
import { messageOutcome, readReceiptTrouble } from './answer.ts';
import { asObject } from '../json.ts';
import { personalValues } from '../redact.ts';
import { cloudRequest, markReadPayload, messagePayload, type CloudRequest } from './request.ts';

export type CloudProviderOptions = HttpExchangeOptions;

export interface ReadReceipt {
  readonly account: SenderAccount;
  /** wamid of a received message, at most 30 days old. */
  readonly providerMessageId: string;
  /** Also shows "typing…" until our answer, 25 s at most. Default false. */
  readonly typing?: boolean;
  readonly signal?: AbortSignal;
}

/** Marking as read may safely be repeated, so `ambiguous` is harmless here. */
export type ReadReceiptOutcome = { readonly kind: 'done' } | Trouble;

export interface CloudProvider extends MessageProvider {
  readonly name: 'cloud';
  /** Marks a received message, and all before it in the thread, as read. Never throws. */
  markRead(receipt: ReadReceipt): Promise<ReadReceiptOutcome>;
}

/**
 * Meta's WhatsApp Cloud API. One call is one HTTP request; nothing is repeated here.
 * @see https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
 */
export function createCloudProvider(options: CloudProviderOptions = {}): CloudProvider {
  const exchange = new HttpExchange(options);
  return {
    name: 'cloud',
    async send({ account, body, tag, signal, beforeFirstByte }: ProviderSend): Promise<ProviderOutcome> {
      const request = prepare(account, messagePayload(body, tag));
      if (request instanceof AccountError) return misconfigured(request);
      const result = await exchange.post({
        ...request,
        ...(signal === undefined ? {} : { signal }),
        ...(beforeFirstByte === undefined ? {} : { beforeFirstByte }),
      });
      return messageOutcome(result, { linkMedia: hasLink(body), hidden: () => personalValues(body) });
    },
    async markRead({ account, providerMessageId, typing = false, signal }): Promise<ReadReceiptOutcome> {
      const request = prepare(account, markReadPayload(providerMessageId, typing));
      if (request instanceof AccountError) return misconfigured(request);
      const result = await exchange.post({ ...request, ...(signal === undefined ? {} : { signal }) });
      return readReceiptTrouble(result) ?? { kind: 'done' };
    },
    close: () => exchange.close(),
  };
}

function prepare(account: SenderAccount, payload: Record<string, unknown>): CloudRequest | AccountError {
  try {
    return cloudRequest(account, payload);
  } catch (error) {
    if (error instanceof AccountError) return error;
    throw error;
  }
}

/** Is any media of this message a link that Meta's servers fetch. */
function hasLink(body: MessageBody): boolean {
  const isLink = (value: unknown): boolean => {
    if (Array.isArray(value)) return value.some(isLink);
    const object = asObject(value);
    return object !== null && (typeof object['link'] === 'string' || Object.values(object).some(isLink));
  };
  return isLink(body.content);
}
