import type { QueueService } from '../../jobs/index.ts';
import type { HandedMessage, InboundHooks } from '../hooks.ts';
import type { RespondRequest } from './contract.ts';
import type { Turns } from './turns.ts';

/** Types that are no question: an answer to a thumb would be an answer to our own answer. */
const NOT_ANSWERED: ReadonlySet<string> = new Set(['reaction', 'system', 'unsupported', 'unknown', 'ephemeral']);

/** Puts incoming messages up for the responder, durably, before their webhook is done. */
export function responderHooks(parts: {
  readonly queues: Pick<QueueService, 'addJobs'>;
  readonly turns: Turns;
  /** RESPONDER_MAX_AGE_SECONDS, in ms. */
  readonly maxAgeMs: number;
  readonly now?: () => number;
}): InboundHooks {
  const now = parts.now ?? Date.now;
  return {
    async onInbound(batch) {
      const questions = batch.filter(
        ({ type, isLimited, providerAtMs }) =>
          !isLimited && !NOT_ANSWERED.has(type) && now() - providerAtMs <= parts.maxAgeMs,
      );
      if (questions.length === 0) return;
      await parts.turns.join(questions);
      await parts.queues.addJobs(
        'respond',
        questions.map((message) => ({
          data: {
            message: {
              id: message.id,
              tenant: message.tenant,
              sender: message.sender,
              conversation: message.conversation,
              seq: message.seq,
              providerAtMs: message.providerAtMs,
            },
            request: requestOf(message),
          },
          // A repeated hand-over finds its job there, whatever became of it.
          options: { jobId: message.id },
        })),
      );
    },
  };
}

function requestOf(message: HandedMessage): RespondRequest {
  const name = (kind: string) => message.contact.aliases.find((alias) => alias.kind === kind)?.value ?? null;
  return {
    conversation: message.conversation,
    sender: message.sender,
    contact: {
      id: message.contactId,
      name: message.contact.name,
      phone: name('e164'),
      waId: name('wa_id'),
      userId: name('user_id'),
    },
    message: {
      [message.type]: message.content,
      id: message.id,
      sequence: message.seq,
      providerMessageId: message.providerMessageId,
      type: message.type,
      context: message.replyTo === null ? null : { message_id: message.replyTo },
      referral: message.referral,
      providerAt: new Date(message.providerAtMs).toISOString(),
      receivedAt: new Date(message.receivedAtMs).toISOString(),
    },
  };
}
