import type { MessageBody } from '../model/message.ts';
import { PROVIDER_ERROR_CODES, type SenderAccount } from './contract.ts';
import type { RejectedOutcome } from './table-error.ts';

/** The provider has no way to say this message; `message` is a sentence that says what to do instead. */
export class UnsupportedMessage extends Error {
  /** Path within the message, such as `image.id`. */
  readonly field: string;
  constructor(field: string, message: string) {
    super(message);
    this.field = field;
  }
}

/** What the mapping of a message needs to know of its sender. */
export type SenderKind = Pick<SenderAccount, 'provider' | 'channel'>;

/** A message that was accepted before its sender's provider was known to refuse it. */
export function unsupportedOutcome(error: UnsupportedMessage): RejectedOutcome {
  return {
    kind: 'rejected',
    class: 'payload',
    httpStatus: 0,
    error: {
      code: 'MESSAGE_UNSUPPORTED',
      providerCode: null,
      title: PROVIDER_ERROR_CODES.MESSAGE_UNSUPPORTED,
      detail: error.message,
      retryable: false,
    },
  };
}

/** Digits of the phone number; providers other than the Cloud API know no user ids. */
export function phoneDigitsOf(body: MessageBody, provider: string): string {
  if (body.to === undefined) {
    throw new UnsupportedMessage('recipient', `${provider} cannot send to a business-scoped user id: give to.`);
  }
  return body.to.replace(/\D/g, '');
}

/** Address of media; ids are Meta's and mean nothing to other providers. */
export function mediaLink(content: Readonly<Record<string, unknown>>, field: string, provider: string): string {
  const link = content['link'];
  if (typeof link === 'string') return link;
  throw new UnsupportedMessage(`${field}.id`, `${provider} takes media by its address only: give link instead of id.`);
}
