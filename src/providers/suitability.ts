import type { MessageBody } from '../model/message.ts';
import { evolutionCall } from './evolution/request.ts';
import { twilioFields } from './twilio/request.ts';
import { UnsupportedMessage, type SenderKind } from './unsupported.ts';

/** Why a provider cannot send a message. */
export interface Unsuitable {
  /** Path within the message, such as `image.id`. */
  readonly field: string;
  /** Names the provider and says what to do instead. */
  readonly sentence: string;
}

/** Asked before a message is stored: can the sender's provider say it at all. Null = it can. */
export function unsuitable({ provider, channel }: SenderKind, body: MessageBody): Unsuitable | null {
  try {
    if (provider === 'evolution') evolutionCall(body, channel);
    else if (provider === 'twilio') twilioFields(body);
    return null;
  } catch (error) {
    if (error instanceof UnsupportedMessage) return { field: error.field, sentence: error.message };
    throw error;
  }
}
