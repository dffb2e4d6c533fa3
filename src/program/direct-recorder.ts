import type { Logger } from 'pino';
import { AppError } from '../errors/app-error.ts';
import type { MessageEvent } from '../model/events.ts';
import type { Direct } from '../record/index.ts';

export interface DirectRecorder {
  /**
   * Takes the events of one message, in their order. Resolves when they are written, so that whoever is answered then
   * can read the message; without, when they cannot be written now or that takes long. Never rejects.
   */
  add(events: readonly MessageEvent[]): Promise<void>;
  /** One last try for what is left. */
  stop(): Promise<void>;
}

/** Messages kept while PostgreSQL is away. What does not fit is counted and said: it was sent all the same. */
const KEPT_MAX = 10_000;
/** Messages written in one transaction. */
const AT_ONCE_MAX = 100;
const RETRY_MS = 2000;
/** A caller waits no longer for the record: the message was sent, whatever the record does. */
const ANSWER_MS_MAX = 2000;

interface Waiting {
  readonly events: readonly MessageEvent[];
  /** Lets the caller go. */
  readonly answer: () => void;
}

/**
 * Writes what direct sends did as soon as PostgreSQL can take it; memory is all that keeps it until then. What can never
 * be written is said and left out, so that it does not stand in the way of the rest.
 */
export function createDirectRecorder(direct: Pick<Direct, 'write'>, log: Logger): DirectRecorder {
  const waiting: Waiting[] = [];
  /** So many of those that wait, the first ones, are being written. */
  let underWay = 0;
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function writeAll(): Promise<void> {
    // Of so many, the first ones, one cannot be written: each is tried alone.
    let suspects = 0;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, suspects > 0 ? 1 : AT_ONCE_MAX);
      underWay = batch.length;
      try {
        await direct.write(batch.map(({ events }) => events));
      } catch (error) {
        if (error instanceof AppError && error.retryable) {
          leaveWaiting(error);
          return;
        }
        if (batch.length > 1) {
          suspects = batch.length;
          continue;
        }
        const message = batch[0]?.events[0]?.messageId;
        log.error({ err: error, message }, 'a direct send could not be recorded; it was sent');
      }
      suspects = Math.max(0, suspects - 1);
      for (const { answer } of waiting.splice(0, batch.length)) answer();
    }
    if (dropped > 0) log.error({ dropped }, 'direct sends were not recorded: PostgreSQL was away for too long');
    dropped = 0;
  }

  function leaveWaiting(error: AppError): void {
    for (const { answer } of waiting) answer();
    log.debug({ err: error, waiting: waiting.length }, 'direct sends wait to be recorded');
    if (isStopped) return;
    timer = setTimeout(start, RETRY_MS);
    timer.unref();
  }

  function start(): void {
    if (writing !== undefined) return;
    clearTimeout(timer);
    writing = writeAll().finally(() => {
      writing = undefined;
      underWay = 0;
    });
  }

  return {
    add(events) {
      if (waiting.length >= KEPT_MAX) {
        const [oldest] = waiting.splice(underWay, 1);
        oldest?.answer();
        dropped += 1;
      }
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, ANSWER_MS_MAX);
        const answer = () => {
          clearTimeout(timer);
          resolve();
        };
        waiting.push({ events, answer });
        start();
      });
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      await writing;
      start();
      await writing;
      if (waiting.length > 0) log.error({ dropped: waiting.length }, 'direct sends were not recorded');
    },
  };
}
