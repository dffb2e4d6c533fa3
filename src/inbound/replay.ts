import type { QueueService } from '../jobs/index.ts';
import { PRIORITY } from '../jobs/index.ts';
import type { RawWebhooks, WebhookPlace, WebhookRange } from '../record/index.ts';
import { newId } from '../util/ids.ts';
import type { InboundStatistics } from './statistics.ts';
import { jobOf } from './webhook-job.ts';

const PAGE = 100;

export interface WebhookKeeper {
  /**
   * Processes webhooks of a time range again. What the record has already stays as it is and has no effects; what an
   * earlier version could not read is taken in now.
   * @param dryRun only counts
   * @returns how many there are, and how many jobs were added for them
   */
  replay(range: WebhookRange, dryRun: boolean): Promise<{ readonly found: number; readonly queued: number }>;
  /** Queues webhooks that were kept in PostgreSQL because the queue was away. @returns how many */
  drain(): Promise<number>;
  /** Forgets processed webhooks that were received before. @returns how many */
  purge(beforeMs: number): Promise<number>;
}

export function createWebhookKeeper(options: {
  readonly rawWebhooks: RawWebhooks;
  readonly queues: Pick<QueueService, 'addJobs'>;
}): WebhookKeeper {
  const { rawWebhooks, queues } = options;
  return {
    async replay(range, dryRun) {
      const found = await rawWebhooks.count(range);
      if (dryRun) return { found, queued: 0 };
      const run = newId();
      let queued = 0;
      let after: WebhookPlace | null = null;
      for (;;) {
        const page = await rawWebhooks.list(range, PAGE, after);
        const last = page.at(-1);
        if (last === undefined) return { found, queued };
        await queues.addJobs(
          'webhook',
          page.map((webhook) => ({
            data: { ...jobOf(webhook, { hasStatuses: false, isReplay: true }), webhookId: webhook.id },
            priority: PRIORITY.maintenance,
            options: { jobId: `replay-${run}-${webhook.id}` },
          })),
        );
        queued += page.length;
        after = { receivedAtMs: last.receivedAtMs, id: last.id };
      }
    },

    async drain() {
      const page = await rawWebhooks.unprocessed(1000);
      for (let start = 0; start < page.length; start += PAGE) {
        await queues.addJobs(
          'webhook',
          page.slice(start, start + PAGE).map((webhook) => ({
            data: jobOf(webhook, { hasStatuses: false, isReplay: false }),
            options: { jobId: webhook.id },
          })),
        );
      }
      return page.length;
    },

    async purge(beforeMs) {
      let total = 0;
      for (;;) {
        const count = await rawWebhooks.purge(beforeMs, 1000);
        total += count;
        if (count < 1000) return total;
      }
    },
  };
}

/** Every few seconds: queues what waits in PostgreSQL; every hour: forgets what is older than `keepDays`. */
export function startWebhookKeeper(
  keeper: WebhookKeeper,
  options: { readonly everyMs: number; readonly keepDays: number; readonly statistics: InboundStatistics },
): () => void {
  let isBusy = false;
  let purgedAtMs = 0;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    void work().finally(() => {
      isBusy = false;
    });
  }, options.everyMs);
  timer.unref();

  async function work(): Promise<void> {
    try {
      await keeper.drain();
      const nowMs = Date.now();
      if (options.keepDays === 0 || nowMs - purgedAtMs < 3_600_000) return;
      await keeper.purge(nowMs - options.keepDays * 86_400_000);
      purgedAtMs = nowMs;
    } catch {
      // Redis or PostgreSQL is away; the next turn finds them back.
      options.statistics.add('failures');
    }
  }
  return () => {
    clearInterval(timer);
  };
}
