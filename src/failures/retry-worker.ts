import { setTimeout as delay } from 'node:timers/promises';
import { auditFailures, type AuditReport } from './audit.ts';
import { bringBack } from './bring-back.ts';
import type { ReturnPorts } from './returning.ts';

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

/** Reported failures taken in one look. */
const REPORTED_MAX = 500;

/**
 * The slow retries themselves are timers of the engine. This worker takes in what a status reported later, and audits:
 * it repairs where table and queue differ, which only a lost or restored server can make happen. Any number of them may
 * run: the engine takes a message in once for each number of attempts, whoever asks.
 */
export function createRetryWorker(options: RetryWorkerOptions): RetryWorker {
  const { intervalMs } = options;
  const now = options.now ?? Date.now;
  let stopping: AbortController | null = null;
  let running: Promise<void> | null = null;
  let lastLookAtMs: number | null = null;
  let lastAuditAtMs: number | null = null;
  let lastError: string | null = null;
  let taken = 0;
  let repaired = 0;
  const isStopping = () => stopping?.signal.aborted === true;
  const ports = { ...options, now, catchUpMs: options.catchUpMs ?? 15_000, isStopping };

  async function takeReported(): Promise<number> {
    let count = 0;
    for (const failure of await options.record.failures.reported(REPORTED_MAX)) {
      if (await bringBack(ports, failure, 'sent')) count += 1;
    }
    taken += count;
    return count;
  }

  async function audit(): Promise<AuditReport> {
    const report = await auditFailures(ports);
    lastAuditAtMs = now();
    repaired += report.returned + report.letGo + report.timesCorrected;
    if (report.compared) options.onAudit?.(report);
    return report;
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
