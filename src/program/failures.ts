import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { AppError } from '../errors/app-error.ts';
import { createFailures, type RetryWorker, type WaxwingFailures } from '../failures/index.ts';
import { senderLimits } from '../messages/index.ts';
import { parseRecipient } from '../messages/content/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Observing } from './observing.ts';
import type { Accepting } from './accepting.ts';
import { draftOfFailure } from './logged-failure.ts';

interface FailureParts {
  readonly config: Config;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Pick<Accepting, 'senders' | 'messages'>;
  readonly observing: Pick<Observing, 'onUndelivered'>;
  readonly log: Logger;
}

/** Failures of this program. Its retry worker does not run yet: processes that send start it. */
export function openFailures(parts: FailureParts): WaxwingFailures & { readonly worker: RetryWorker } {
  const { config, queue, record, accepting, observing, log } = parts;
  return createFailures({
    record,
    queue,
    retries: queue.retries,
    intervalMs: config.whatsappRetryIntervalMs,
    scheduleSeconds: config.retryScheduleSeconds,
    statusWatchdogMs: config.statusWatchdogSeconds * 1000,
    draft: (failure) => draftOfFailure(accepting.messages, failure),
    prepareSender: async (id) => {
      const sender = await record.senders.get(id);
      if (sender === null) return false;
      await queue.configureSender(senderLimits(sender));
      return true;
    },
    clearPairLimit: async (sender, contact) => {
      await accepting.senders.byId(sender);
      await accepting.senders.knowing(() => queue.clearPairLimit(sender, contact));
    },
    contactOf: (to) => {
      const parsed = parseRecipient(to);
      if (parsed.ok) return parsed.contact;
      throw new AppError('REQUEST_INVALID', { field: 'to', detail: parsed.sentence });
    },
    onError: (error) => log.warn({ err: error }, 'the retry worker waits'),
    onUndelivered: () => observing.onUndelivered(1),
    onAudit: ({ returned, letGo, timesCorrected }) => {
      if (returned + letGo + timesCorrected === 0) return;
      log.warn({ returned, letGo, timesCorrected }, 'failure table and queue differed and were repaired');
    },
  });
}
