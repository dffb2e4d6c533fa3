import type { SendQueue, StatusEvidence } from '../engine/contract.ts';
import { hasCode } from '../errors/app-error.ts';
import { JobImpossible, JobLater, type JobContext, type MessageStatusJobData } from '../jobs/index.ts';
import type { MessageError } from '../model/message.ts';
import type { Messages } from '../record/index.ts';
import { isId } from '../util/ids.ts';
import { createMicroBatcher } from './micro-batcher.ts';
import type { InboundStatistics } from './statistics.ts';

export interface StatusProcessorOptions {
  readonly queue: Pick<SendQueue, 'statuses'>;
  readonly messages: Pick<Messages, 'find'>;
  readonly statistics: InboundStatistics;
  readonly batch: { readonly sizeMax: number; readonly intervalMs: number; readonly parallelMax: number };
  /** Hears why a message failed: codes, and an id that may be logged. */
  readonly onFailed?: (line: { readonly messageId: string; readonly providerCode: string | null }) => void;
}

export type StatusProcessor = (
  job: Pick<JobContext<MessageStatusJobData>, 'data' | 'log'>,
) => Promise<{ readonly status: string }>;

const LATER_MS = 3_000;

/** Puts statuses into the queue's event log (Q4); the recorder derives message and conversation from there. */
export function createStatusProcessor(options: StatusProcessorOptions): StatusProcessor {
  const batcher = createMicroBatcher<StatusEvidence, null>({
    ...options.batch,
    run: async (statuses) => {
      await options.queue.statuses(statuses);
      options.statistics.add('statuses', statuses.length);
      return statuses.map(() => null);
    },
  });

  return async ({ data, log }) => {
    const status = data.status.trim().toLowerCase();
    if (status === '') throw new JobImpossible('The status is empty.');
    const providerAtMs = Date.parse(data.timestamp);
    if (Number.isNaN(providerAtMs)) throw new JobImpossible('The timestamp is no time.');
    try {
      const error = status === 'failed' ? errorOf(data.error) : null;
      if (error !== null) {
        await log(`failed: ${error.providerCode ?? 'no code'} ${error.title}`);
        options.onFailed?.({ messageId: loggable(data.messageId), providerCode: error.providerCode });
      }
      await batcher.add({ ...(await namesOf(data.messageId)), attempt: null, status, providerAtMs, error });
      return { status };
    } catch (error) {
      if (hasCode(error, 'RECORD_UNAVAILABLE', 'QUEUE_UNAVAILABLE')) throw new JobLater(Date.now() + LATER_MS);
      throw error;
    }
  };

  async function namesOf(id: string): Promise<Pick<StatusEvidence, 'messageId' | 'providerMessageId'>> {
    if (!isId(id)) return { messageId: '', providerMessageId: id };
    const message = await options.messages.find(null, id);
    if (message === null) throw new Error('There is no message with this id (yet).');
    if (message.providerMessageId === null) throw new Error('The message was not sent (yet).');
    return { messageId: id, providerMessageId: message.providerMessageId };
  }
}

/** A provider's id may hold the recipient's number (Meta's has it in its first half, as base64): its end names it, too. */
function loggable(id: string): string {
  return isId(id) ? id : `…${id.slice(-12)}`;
}

function errorOf(given: unknown): MessageError {
  const first: unknown = Array.isArray(given) ? given[0] : given;
  const raw = (typeof first === 'object' && first !== null ? first : {}) as Record<string, unknown>;
  const code = raw['code'];
  const title = typeof raw['title'] === 'string' ? raw['title'] : typeof first === 'string' ? first : 'Not delivered';
  return {
    code: 'DELIVERY_FAILED',
    providerCode: typeof code === 'number' || typeof code === 'string' ? String(code) : null,
    title: title.slice(0, 200),
    detail: 'The provider reported that it could not deliver the message.',
    retryable: false,
  };
}
