import { BaseAdapter } from '@bull-board/api/dist/queueAdapters/base.js';
import type { SendQueue } from '../../engine/contract.ts';
import { AppError } from '../../errors/app-error.ts';
import type { Messages } from '../../messages/index.ts';
import type { MessageStatus } from '../../model/message.ts';
import type { RecordedMessage, WaxwingRecord } from '../../record/index.ts';

export interface SendEngineParts {
  readonly name: string;
  readonly queue: Pick<SendQueue, 'counters' | 'pauseAll' | 'resumeAll' | 'isPaused'>;
  readonly messages: Pick<Messages, 'cancel'>;
  readonly record: Pick<WaxwingRecord, 'messages'>;
  /** Sends a failed or held message again. */
  readonly redrive?: ((id: string) => Promise<void>) | undefined;
  /** Starts the slow retry of a message now. */
  readonly hasten?: ((id: string) => Promise<void>) | undefined;
}

const PLATFORM = { kind: 'platform' } as const;
/** The board asks by page number, the record by cursor: pages are walked, and so far only. */
const MESSAGES_MAX = 1000;
const STATUSES = {
  active: ['sending'],
  waiting: ['queued'],
  delayed: ['scheduled', 'deferred', 'unknown'],
  completed: ['sent', 'delivered', 'read'],
  failed: ['failed'],
} as const satisfies Record<string, readonly MessageStatus[]>;
type BoardStatus = keyof typeof STATUSES;

const notHere = (what: string): Promise<never> =>
  Promise.reject(new AppError('CONFLICT', { detail: `${what} is not possible for the send queue.` }));

/** The send engine as a queue of the board: counts from the engine, messages and attempts from the record. */
export class SendEngineAdapter extends BaseAdapter {
  readonly #parts: SendEngineParts;

  constructor(parts: SendEngineParts) {
    super('bullmq', {
      displayName: parts.name,
      description: 'The send engine: every message on its way to WhatsApp, in order, at its pace.',
      allowCompletedRetries: false,
    });
    this.#parts = parts;
  }

  getName(): string {
    return this.#parts.name;
  }

  async getJobCounts() {
    const counters = await this.#parts.queue.counters();
    return {
      active: counters.inFlight,
      waiting: counters.queued,
      delayed: counters.scheduled + counters.deferred + counters.unknown + counters.held,
      completed: counters.sent,
      failed: counters.failed,
    } as unknown as Awaited<ReturnType<BaseAdapter['getJobCounts']>>;
  }

  async getJobs(statuses: readonly string[], start = 0, end = 9) {
    const wanted = statuses.flatMap((status) => (status in STATUSES ? STATUSES[status as BoardStatus] : []));
    const needed = Math.min(end + 1, MESSAGES_MAX);
    const lists = await Promise.all(wanted.map((status) => this.#newest(status, needed)));
    const newest = lists.flat().sort((a, b) => b.createdAtMs - a.createdAtMs);
    return newest.slice(start, needed).map((message) => this.#jobOf(message));
  }

  async #newest(status: MessageStatus, count: number): Promise<RecordedMessage[]> {
    const found: RecordedMessage[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#parts.record.messages.list({
        tenant: null,
        status,
        limit: Math.min(200, count - found.length),
        ...(cursor === undefined ? {} : { cursor }),
      });
      found.push(...page.items);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined && found.length < count);
    return found;
  }

  async getJob(id: string) {
    const message = await this.#parts.record.messages.find(null, id);
    return message === null ? null : this.#jobOf(message);
  }

  /** The attempts, and before them what happened to the message. */
  async getJobLogs(id: string): Promise<string[]> {
    const timeline = (await this.#parts.record.messages.timeline(null, id)) ?? [];
    const attempts = await this.#parts.record.messages.attempts(null, id);
    const happened = timeline.map(({ atMs, event, detail }) => ({ atMs, line: `${event} (${detail.source})` }));
    const tried = attempts.map(({ attempt, worker, startedAtMs, endedAtMs, outcome, httpStatus, error }) => {
      const status = httpStatus === undefined ? '' : `, HTTP ${httpStatus}`;
      const reason = error === undefined ? '' : `, ${error.code} ${error.providerCode ?? ''}: ${error.title}`;
      return {
        atMs: startedAtMs,
        line: `attempt ${attempt}: ${outcome}${status}, ${endedAtMs - startedAtMs} ms by ${worker}${reason}`,
      };
    });
    const lines = [...happened, ...tried].sort((a, b) => a.atMs - b.atMs);
    return lines.map(({ atMs, line }) => `${new Date(atMs).toISOString()} ${line}`);
  }

  #jobOf(message: RecordedMessage) {
    const { redrive, hasten, messages } = this.#parts;
    const { id, status, type, attempts, priority, error } = message;
    const endedAtMs = message.failedAtMs ?? message.sentAtMs;
    const data = {
      tenant: message.tenant,
      sender: message.sender,
      conversation: message.conversation,
      to: message.to ?? message.recipient,
      type,
      [type]: message.content,
      status,
      providerMessageId: message.providerMessageId,
      metadata: message.metadata,
    };
    const state = (Object.keys(STATUSES) as BoardStatus[]).find((one) =>
      (STATUSES[one] as readonly string[]).includes(status),
    );
    const properties = {
      id,
      name: `${type} · ${message.tenant}`,
      progress: 0,
      attemptsMade: attempts,
      timestamp: message.createdAtMs,
      opts: { priority, ...(message.sendAtMs === null ? {} : { delay: message.sendAtMs - message.createdAtMs }) },
      data,
      stacktrace: [],
      returnvalue: message.providerMessageId,
      ...(endedAtMs === null ? {} : { finishedOn: endedAtMs }),
      ...(error === null ? {} : { failedReason: `${error.code} ${error.providerCode ?? ''} ${error.title}`.trim() }),
    };
    return {
      ...properties,
      opts: properties.opts,
      // What is delayed waits for a slow retry, or its outcome is unknown and a person must decide.
      async promote() {
        const act = status === 'unknown' ? redrive : status === 'deferred' ? hasten : undefined;
        if (act === undefined) await notHere(`Promoting a message that is ${status}`);
        else await act(id);
      },
      updateData: () => notHere('Changing a message'),
      update: () => notHere('Changing a message'),
      getState: () => Promise.resolve(state ?? 'completed'),
      async remove() {
        await messages.cancel(id, PLATFORM);
      },
      async retry() {
        if (redrive === undefined) await notHere('Sending again from the board');
        else await redrive(id);
      },
      toJSON: () => properties,
    } as unknown as NonNullable<Awaited<ReturnType<BaseAdapter['getJob']>>>;
  }

  /** Flows of jobs are told apart by this name; messages are in none. */
  getQueueQualifiedName(): string {
    return this.getName();
  }
  getFlowProducer() {
    return Promise.resolve(null);
  }

  isPaused(): Promise<boolean> {
    return this.#parts.queue.isPaused();
  }
  pause(): Promise<void> {
    return this.#parts.queue.pauseAll();
  }
  resume(): Promise<void> {
    return this.#parts.queue.resumeAll();
  }

  getStatuses() {
    return ['latest', ...this.getJobStatuses()] as ReturnType<BaseAdapter['getStatuses']>;
  }
  getJobStatuses() {
    return Object.keys(STATUSES) as ReturnType<BaseAdapter['getJobStatuses']>;
  }

  getMetrics() {
    const none = { meta: { count: 0, prevTS: 0, prevCount: 0 }, data: [], count: 0 };
    return Promise.resolve(none as unknown as Awaited<ReturnType<BaseAdapter['getMetrics']>>);
  }
  getRedisInfo() {
    return Promise.resolve(null);
  }
  getGlobalConcurrency() {
    return Promise.resolve(null);
  }
  getJobSchedulers() {
    return Promise.resolve([]);
  }
  getJobSchedulersCount() {
    return Promise.resolve(0);
  }
  removeJobScheduler() {
    return Promise.resolve(false);
  }
  updateJobScheduler() {
    return notHere('A schedule');
  }
  runJobSchedulerNow() {
    return notHere('A schedule');
  }
  setGlobalConcurrency() {
    return notHere('Setting the concurrency');
  }
  addJob() {
    return notHere('Adding from the board');
  }
  clean() {
    return notHere('Cleaning');
  }
  empty() {
    return notHere('Emptying');
  }
  obliterate() {
    return notHere('Emptying');
  }
  promoteAll() {
    return notHere('Promoting');
  }
}
