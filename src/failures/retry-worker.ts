import { setTimeout as delay } from 'node:timers/promises';
import type { FailureRecord } from '../record/index.ts';
import { knowingSender, returningMessage, type ReturnPorts } from './returning.ts';

/** What `whatsappRetryWorker.getStatus()` tells. Times are epoch ms; null = not yet. */
export interface RetryWorkerStatus {
  readonly isRunning: boolean;
  readonly intervalMs: number;
  /** When it last began to look for work, which it does every few seconds: old = it hangs. */
  readonly lastLookAtMs: number | null;
  readonly lastAuditAtMs: number | null;
  readonly lastError: string | null;
  /** Since the start: reported failures taken into the queue, and differences that the audit repaired. */
  readonly taken: number;
  readonly repaired: number;
}

/** What one audit found and put right. */
export interface AuditReport {
  /** Pending in the table, and the queue had lost it: taken in again. */
  readonly returned: number;
  /** The queue waited to send what the record knows to be sent: let go. */
  readonly letGo: number;
  /** The table had another time than the queue. */
  readonly timesCorrected: number;
  /** False: the recorder was behind, so nothing was compared. */
  readonly compared: boolean;
}

export interface RetryWorker {
  /** Begins to look. Safe to call twice. */
  start(): void;
  /** Finishes what is under way. Safe to call twice. */
  stop(): Promise<void>;
  getStatus(): RetryWorkerStatus;
  /** Takes in what statuses reported since the last look. @returns how many were taken */
  takeReported(): Promise<number>;
  /** Compares table and queue, and repairs. */
  audit(): Promise<AuditReport>;
}

export interface RetryWorkerOptions extends ReturnPorts {
  /** WHATSAPP_RETRY_INTERVAL_MS. */
  readonly intervalMs: number;
  /** How often reported failures are looked for, ms; default 5,000. They wait for at least a minute. */
  readonly lookEveryMs?: number;
  /** How long the audit waits for the recorder to catch up, ms; default 15,000. */
  readonly catchUpMs?: number;
  readonly onError?: (error: unknown) => void;
  readonly onAudit?: (report: AuditReport) => void;
  /** Hears of a message that had been sent, and whose reported failure is final because its retry cannot be made. */
  readonly onUndelivered?: () => void;
  readonly now?: () => number;
}

const PAGE = 500;
/** A row younger than this may be about to change: the next audit looks at it. */
const SETTLED_FOR_MS = 2000;

/**
 * The slow retries themselves are timers of the engine. This worker takes in what a status reported later, and audits:
 * it repairs where table and queue differ, which only a lost or restored server can make happen. Any number of them may
 * run: the engine takes a message in once for each number of attempts, whoever asks.
 */
export function createRetryWorker(options: RetryWorkerOptions): RetryWorker {
  const { record, retries, intervalMs } = options;
  const now = options.now ?? Date.now;
  let stopping: AbortController | null = null;
  let running: Promise<void> | null = null;
  let lastLookAtMs: number | null = null;
  let lastAuditAtMs: number | null = null;
  let lastError: string | null = null;
  let taken = 0;
  let repaired = 0;

  /** @param from `sent`: a status reported its failure · `lost`: the queue should have it and has not */
  async function bringBack(failure: FailureRecord, from: 'sent' | 'lost'): Promise<boolean> {
    const message = await record.messages.find(null, failure.id);
    if (message === null) return false;
    if (message.expiresAtMs !== null && message.expiresAtMs <= now()) {
      await giveUp(failure.id, 'expired', from);
      return false;
    }
    const delayMs = Math.max(0, (failure.nextRetryAtMs ?? 0) - now());
    const back = await returningMessage(options, message);
    const result = await knowingSender(options, message.sender, () =>
      from === 'sent'
        ? retries.redrive(back, 'sent', { cause: 'report', by: 'waxwing', delayMs })
        : retries.redrive(back, 'lost', { cause: 'repair', by: 'waxwing', delayMs }, failure.attemptCount),
    );
    // Without an end these would be asked for again and again, and stand in the way of others.
    if (result === 'expired') await giveUp(failure.id, 'expired', from);
    if (result === 'unknown-sender') await giveUp(failure.id, 'sender-removed', from);
    return result === 'done';
  }

  async function giveUp(id: string, resolution: string, from: 'sent' | 'lost'): Promise<void> {
    const isEnded = await record.failures.giveUp(id, resolution);
    // Of what a queue has lost, its counters are lost too.
    if (isEnded && from === 'sent') options.onUndelivered?.();
  }

  async function takeReported(): Promise<number> {
    let count = 0;
    for (const failure of await record.failures.reported(PAGE)) if (await bringBack(failure, 'sent')) count += 1;
    taken += count;
    return count;
  }

  /**
   * Waits until everything that the queue told before now is recorded. Without that a message that was sent this moment
   * would look like one that the queue has lost.
   */
  async function recorderCaughtUp(): Promise<boolean> {
    const sinceMs = now();
    const deadlineMs = performance.now() + (options.catchUpMs ?? 15_000);
    for (let shard = 0; shard < retries.shards; shard += 1) {
      for (;;) {
        const oldestMs = await retries.oldestEventMs(shard);
        if (oldestMs === null || oldestMs > sinceMs) break;
        if (performance.now() > deadlineMs || stopping?.signal.aborted === true) return false;
        await delay(100);
      }
    }
    return true;
  }

  async function lostIds(): Promise<string[]> {
    const lost: string[] = [];
    let after: string | null = null;
    for (;;) {
      const rows = await record.failures.pendingAfter(after, PAGE);
      const last = rows.at(-1);
      if (last === undefined) return lost;
      after = last.id;
      for (const shard of new Set(rows.map((row) => row.shard))) {
        const ids = rows.filter((row) => row.shard === shard).map(({ id }) => id);
        const parked = await retries.parked(shard, ids);
        lost.push(...ids.filter((id) => !parked.has(id)));
      }
    }
  }

  async function audit(): Promise<AuditReport> {
    // What seems lost is looked at again once the recorder has written all that happened until then.
    const suspects = await lostIds();
    const waitingIds: { id: string; dueAtMs: number }[] = [];
    for await (const part of retries.waiting()) waitingIds.push(...part);
    const compared = await recorderCaughtUp();
    if (!compared) {
      lastAuditAtMs = now();
      return { returned: 0, letGo: 0, timesCorrected: 0, compared };
    }
    let returned = 0;
    for (const id of suspects) if (await isLost(id)) returned += (await returnLost(id)) ? 1 : 0;
    let letGo = 0;
    let timesCorrected = 0;
    for (let from = 0; from < waitingIds.length; from += PAGE) {
      const part = waitingIds.slice(from, from + PAGE);
      for (const id of await record.failures.settledAmong(part.map((one) => one.id)))
        if (await releaseSettled(id)) letGo += 1;
      timesCorrected += await record.failures.correctTimes(part);
    }
    lastAuditAtMs = now();
    repaired += returned + letGo + timesCorrected;
    const report = { returned, letGo, timesCorrected, compared };
    options.onAudit?.(report);
    return report;
  }

  async function isLost(id: string): Promise<boolean> {
    const failure = await record.failures.get(id);
    if (failure?.status !== 'PENDING' || failure.metadata['source'] === 'report') return false;
    if (failure.updatedAtMs > now() - SETTLED_FOR_MS) return false;
    const message = await record.messages.find(null, id);
    // In any other state than deferred the queue has it, or had it last, elsewhere than on the slow schedule.
    if (message?.engineStatus !== 'deferred') return false;
    const { sender, tenant, conversation, seq } = message;
    return !(await retries.isHeld({ id, shard: message.shard, lane: { sender, tenant, conversation } }, seq));
  }

  async function returnLost(id: string): Promise<boolean> {
    const failure = await record.failures.get(id);
    return failure !== null && (await bringBack(failure, 'lost'));
  }

  async function releaseSettled(id: string): Promise<boolean> {
    const message = await record.messages.find(null, id);
    if (message === null) return false;
    const { shard, sender, tenant, conversation } = message;
    return (await retries.settled({ id, shard, lane: { sender, tenant, conversation } })) === 'done';
  }

  async function run(signal: AbortSignal): Promise<void> {
    let auditAtMs = performance.now() + intervalMs;
    const lookEveryMs = Math.min(options.lookEveryMs ?? 5000, intervalMs);
    while (!signal.aborted) {
      lastLookAtMs = now();
      try {
        await takeReported();
        if (performance.now() >= auditAtMs) {
          auditAtMs = performance.now() + intervalMs;
          await audit();
        }
        lastError = null;
      } catch (error) {
        // Redis or PostgreSQL is away: the next look finds what this one did not.
        lastError = error instanceof Error ? error.message : String(error);
        options.onError?.(error);
      }
      await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  return {
    start() {
      if (running !== null) return;
      stopping = new AbortController();
      running = run(stopping.signal);
    },
    async stop() {
      stopping?.abort();
      await running;
      running = null;
      stopping = null;
    },
    getStatus: () => ({
      ...{ isRunning: running !== null, intervalMs, lastLookAtMs, lastAuditAtMs },
      ...{ lastError, taken, repaired },
    }),
    takeReported,
    audit,
  };
}
