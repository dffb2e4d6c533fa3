import { setTimeout as sleep } from 'node:timers/promises';
import type { EventEntry, EventLog } from '../model/events.ts';
import { CatchUp } from './recording/catch-up.ts';
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
/** Wait after the first failure; doubles up to the second figure. Half of it is random, so that not all knock together. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2_000;
/** Reading from here, what was read before and not forgotten comes again. */
const BEFORE_FIRST = '0-0';

export function createRecorder(options: RecorderOptions): Recorder {
  return new ShardRecorder(options);
}

class ShardRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #log: EventLog;
  readonly #batchMax: number;
  readonly #blockMs: number;
  readonly #onError: (error: unknown) => void;
  readonly #stopping = new AbortController();
  readonly #catchUp = new CatchUp();
  #phase: RecorderPhase = 'stopped';
  #running: Promise<void> | null = null;
  /** In a row. */
  #failures = 0;
  /** Entries that are read at once: fewer while PostgreSQL is too slow for `batchMax`. */
  #atOnce: number;
  /** Entries to come that an earlier recorder may have recorded without telling of it. */
  #untold = 0;
  #recordedEvents = 0;
  #quarantinedEvents = 0;
  #lastBatchAtMs: number | null = null;
  #lastError: string | null = null;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#batchMax = options.batchMax ?? 200;
    this.#atOnce = this.#batchMax;
    this.#blockMs = options.blockMs ?? 1_000;
    this.#onError = options.onError ?? (() => undefined);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#log.close().catch(this.#onError);
    await this.#running;
  }

  caughtUp(timeoutMs = 30_000): Promise<boolean> {
    if (this.#running === null || this.#isStopped()) return Promise.resolve(false);
    return this.#catchUp.wait(timeoutMs);
  }

  state(): RecorderState {
    return {
      phase: this.#phase,
      caughtUp: this.#catchUp.isDone,
      recordedEvents: this.#recordedEvents,
      quarantinedEvents: this.#quarantinedEvents,
      lastBatchAtMs: this.#lastBatchAtMs,
      lastError: this.#lastError,
    };
  }

  #isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped()) {
      let session: RecorderSession | undefined;
      try {
        this.#phase = 'connecting';
        session = await openSession({
          databaseUrl: this.#options.databaseUrl,
          shard: this.#log.shard,
          signal: this.#stopping.signal,
          onWaiting: () => {
            this.#phase = 'waiting';
            this.#options.onReached?.();
          },
        });
        this.#phase = 'recording';
        await this.#follow(session);
      } catch (error) {
        if (!this.#isStopped()) await this.#backOff(error);
      } finally {
        await session?.close();
      }
    }
    this.#phase = 'stopped';
    this.#catchUp.giveUp();
  }

  /** Records until the recorder is stopped or the connection fails. */
  async #follow(session: RecorderSession): Promise<void> {
    let after = BEFORE_FIRST;
    this.#untold = UNTOLD_MAX;
    // The first read must not wait: whether there is anything to catch up with is the first thing to know.
    let waitMs = 1;
    while (!this.#isStopped()) {
      const broken = session.broken();
      if (broken !== null) throw broken;
      this.#phase = 'recording';
      try {
        after = await this.#recordNext(session, after, waitMs);
        waitMs = this.#blockMs;
      } catch (error) {
        this.#catchUp.interrupt();
        if (this.#isStopped()) return;
        if (error instanceof BatchError) throw error.cause;
        // The log's failure, not PostgreSQL's: the lock is kept, and what was read is read again.
        await this.#backOff(error);
        after = BEFORE_FIRST;
        this.#untold = UNTOLD_MAX;
        waitMs = 1;
      }
    }
  }

  /** Records what comes after the entry `after`, and waits for it if there is none. @returns the last entry recorded */
  async #recordNext(session: RecorderSession, after: string, waitMs: number): Promise<string> {
    const read = this.#catchUp.beginRead();
    const atOnce = this.#atOnce;
    const entries = await this.#log.read(after, atOnce, waitMs);
    if (entries.length > 0) {
      await this.#recordBatch(session, entries);
      await this.#log.recorded(entries);
    }
    this.#catchUp.endRead(read, entries.length < atOnce && !this.#isStopped());
    return entries.at(-1)?.id ?? after;
  }

  async #recordBatch(session: RecorderSession, entries: readonly EventEntry[]): Promise<void> {
    const startedMs = performance.now();
    try {
      const found = await record(session, this.#log.shard, entries, this.#untold > 0);
      const { recorded, quarantined, deliveries, undelivered, threads } = found;
      this.#untold = Math.max(0, this.#untold - entries.length);
      this.#atOnce = Math.min(this.#batchMax, this.#atOnce * 2);
      this.#failures = 0;
      this.#lastError = null;
      this.#recordedEvents += recorded;
      this.#quarantinedEvents += quarantined.length;
      this.#lastBatchAtMs = Date.now();
      for (const reason of quarantined) this.#options.onQuarantined?.(reason);
      await this.#options.onBatch?.({
        shard: this.#log.shard,
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
      if (isStatementTimeout(error)) this.#atOnce = Math.max(1, Math.floor(this.#atOnce / 2));
      throw new BatchError(error);
    }
  }

  async #backOff(error: unknown): Promise<void> {
    this.#phase = 'backing-off';
    this.#catchUp.interrupt();
    this.#lastError = error instanceof Error ? error.message : String(error);
    this.#onError(error);
    const ceilingMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    const delayMs = ceilingMs * (0.5 + Math.random() / 2);
    await sleep(delayMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}

/** Tells a failure of PostgreSQL from one of the log. */
class BatchError extends Error {
  override readonly cause: unknown;
  constructor(cause: unknown) {
    super('The batch was not recorded.');
    this.cause = cause;
  }
}
