import { setTimeout as sleep } from 'node:timers/promises';
import type { EventEntry, EventLog } from '../model/events.ts';
import { record } from './recording/record.ts';
import type { ChangedThread, DeliveryChange } from './recording/write.ts';
import { openSession, type RecorderSession } from './recording/session.ts';
import { isStatementTimeout } from './sql-errors.ts';

/**
 * The recorder turns the lifecycle events of one shard into rows.
 *
 *   stopped ─start→ connecting ─→ waiting ─lock→ recording ─stop→ stopped
 *                        ▲                           │
 *                        └──────── backing-off ◀─error┘
 *
 * Any number of processes may run a recorder for a shard: one holds the lock and records, the others wait for it
 * inside PostgreSQL. An entry is forgotten by the log only after its rows are committed, and recording it again
 * changes nothing, so a crash at any moment costs a repetition and never an event.
 */
export type RecorderPhase = 'stopped' | 'connecting' | 'waiting' | 'recording' | 'backing-off';

export interface RecorderState {
  readonly phase: RecorderPhase;
  /** Did the last read find everything recorded? */
  readonly caughtUp: boolean;
  /** Events recorded by this recorder since its start; repetitions count again. */
  readonly recordedEvents: number;
  /** Events that could not be recorded and lie in `recorder_quarantine`. */
  readonly quarantinedEvents: number;
  /** Epoch ms of the last committed batch; null = none yet. */
  readonly lastBatchAtMs: number | null;
  /** What the recorder is struggling with; null once a batch went through again. */
  readonly lastError: string | null;
}

export interface RecordedBatch {
  readonly shard: number;
  readonly entries: number;
  /** Recorded ones; those put aside come on top. */
  readonly events: number;
  readonly quarantined: number;
  /** Messages whose delivery became another one than it was, by a status that the provider told. */
  readonly deliveries: readonly DeliveryChange[];
  /** Messages that had been sent, of which a status reported for the first time that they failed for good. */
  readonly undelivered: number;
  /** Conversations whose messages changed, also by a batch that was recorded before; one may be named twice. */
  readonly threads: readonly ChangedThread[];
  readonly durationMs: number;
}

export interface RecorderOptions {
  readonly databaseUrl: string;
  /** Used by this recorder alone, from `start()` to `stop()`, which closes it. */
  readonly log: EventLog;
  /** Entries per batch, 1 … 1000; default 200. */
  readonly batchMax?: number;
  /** How long a read of an empty log waits, ms; default 1,000. An entry ends the wait at once. */
  readonly blockMs?: number;
  /** Hears of every failure that the recorder will overcome by trying again. */
  readonly onError?: (error: unknown) => void;
  /** Hears of every committed batch, before the log forgets it; a promise is waited for. Must not reject: it is recorded. */
  readonly onBatch?: (batch: RecordedBatch) => unknown;
  /** Hears that a new connection to PostgreSQL answers. Must not throw. */
  readonly onReached?: () => void;
  /** Hears of an event that was put aside; the row in `recorder_quarantine` has it in full. */
  readonly onQuarantined?: (reason: string) => void;
}

export interface Recorder {
  /** Begins to record and returns at once, also while PostgreSQL is away. Safe to call twice. */
  start(): void;
  /** Finishes the batch under way, frees the lock and closes the log. Safe to call twice; there is no second start. */
  stop(): Promise<void>;
  /**
   * Resolves with true when everything that was in the log at the time of the call is recorded, with false after
   * `timeoutMs` or when the recorder stops first.
   */
  caughtUp(timeoutMs?: number): Promise<boolean>;
  state(): RecorderState;
}

/** Largest batch: what an earlier recorder may have recorded without telling of it, because it died, is no more. */
const UNTOLD_MAX = 1_000;
/** Wait after the first failure; doubles up to the second figure. Half of it is random: processes do not knock together. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2_000;

export function createRecorder(options: RecorderOptions): Recorder {
  const { log } = options;
  const batchMax = options.batchMax ?? 200;
  const blockMs = options.blockMs ?? 1_000;
  const onError = options.onError ?? (() => undefined);
  const stopping = new AbortController();
  const stopped = (): boolean => stopping.signal.aborted;
  const waiters = new Set<{ readonly read: number; readonly done: (caughtUp: boolean) => void }>();

  let phase: RecorderPhase = 'stopped';
  let running: Promise<void> | null = null;
  let failures = 0;
  let reads = 0;
  let batch = batchMax;
  let drained = false;
  let recordedEvents = 0;
  let quarantinedEvents = 0;
  let untold = 0;
  let lastBatchAtMs: number | null = null;
  let lastError: string | null = null;

  async function run(): Promise<void> {
    while (!stopped()) {
      let session: RecorderSession | undefined;
      try {
        phase = 'connecting';
        session = await openSession({
          databaseUrl: options.databaseUrl,
          shard: log.shard,
          signal: stopping.signal,
          onWaiting: () => {
            phase = 'waiting';
            options.onReached?.();
          },
        });
        phase = 'recording';
        await follow(session);
      } catch (error) {
        if (!stopped()) await backOff(error);
      } finally {
        await session?.close();
      }
    }
    phase = 'stopped';
    for (const waiter of waiters) waiter.done(false);
  }

  /** Records until the recorder is stopped or the connection fails. */
  async function follow(session: RecorderSession): Promise<void> {
    let after = '0-0';
    untold = UNTOLD_MAX;
    // The first read must not wait: whether there is anything to catch up with is the first thing to know.
    let waitMs = 1;
    while (!stopped()) {
      const broken = session.broken();
      if (broken !== null) throw broken;
      phase = 'recording';
      const read = ++reads;
      const count = batch;
      try {
        const entries = await log.read(after, count, waitMs);
        if (entries.length > 0) {
          await recordBatch(session, entries);
          await log.recorded(entries);
          after = entries.at(-1)?.id ?? after;
        }
        settle(read, entries.length < count && !stopped());
        waitMs = blockMs;
      } catch (error) {
        drained = false;
        if (stopped()) return;
        if (error instanceof BatchError) throw error.cause;
        // The log's failure, not PostgreSQL's: the lock is kept, and what was read is read again.
        await backOff(error);
        after = '0-0';
        untold = UNTOLD_MAX;
        waitMs = 1;
      }
    }
  }

  async function recordBatch(session: RecorderSession, entries: readonly EventEntry[]): Promise<void> {
    const startedMs = performance.now();
    try {
      const found = await record(session, log.shard, entries, untold > 0);
      const { recorded, quarantined, deliveries, undelivered, threads } = found;
      untold = Math.max(0, untold - entries.length);
      batch = Math.min(batchMax, batch * 2);
      failures = 0;
      lastError = null;
      recordedEvents += recorded;
      quarantinedEvents += quarantined.length;
      lastBatchAtMs = Date.now();
      for (const reason of quarantined) options.onQuarantined?.(reason);
      await options.onBatch?.({
        shard: log.shard,
        entries: entries.length,
        events: recorded,
        quarantined: quarantined.length,
        deliveries,
        undelivered,
        threads,
        durationMs: performance.now() - startedMs,
      });
    } catch (error) {
      // A slow server must not be given the same too large batch for ever.
      if (isStatementTimeout(error)) batch = Math.max(1, Math.floor(batch / 2));
      throw new BatchError(error);
    }
  }

  function settle(read: number, everything: boolean): void {
    drained = everything;
    if (!everything) return;
    for (const waiter of waiters) if (waiter.read < read) waiter.done(true);
  }

  async function backOff(error: unknown): Promise<void> {
    phase = 'backing-off';
    drained = false;
    lastError = error instanceof Error ? error.message : String(error);
    onError(error);
    const ceilingMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** failures);
    failures = Math.min(failures + 1, 10);
    const delayMs = ceilingMs * (0.5 + Math.random() / 2);
    await sleep(delayMs, undefined, { signal: stopping.signal }).catch(() => undefined);
  }

  return {
    start() {
      running ??= run();
    },
    async stop() {
      stopping.abort();
      await log.close().catch(onError);
      await running;
    },
    caughtUp(timeoutMs = 30_000) {
      if (running === null || stopped()) return Promise.resolve(false);
      return new Promise((resolve) => {
        const waiter = {
          read: reads,
          done(caughtUp: boolean) {
            clearTimeout(timer);
            waiters.delete(waiter);
            resolve(caughtUp);
          },
        };
        const timer = setTimeout(() => waiter.done(false), timeoutMs);
        waiters.add(waiter);
      });
    },
    state: () => ({ phase, caughtUp: drained, recordedEvents, quarantinedEvents, lastBatchAtMs, lastError }),
  };
}

/** Tells a failure of PostgreSQL from one of the log. */
class BatchError extends Error {
  override readonly cause: unknown;
  constructor(cause: unknown) {
    super('The batch was not recorded.');
    this.cause = cause;
  }
}
