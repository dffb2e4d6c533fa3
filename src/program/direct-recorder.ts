import type { Logger } from 'pino';
import { AppError } from '../errors/app-error.ts';
import type { MessageEvent } from '../model/events.ts';
import type { Direct } from '../record/index.ts';

export interface DirectRecorder {
  /** Takes the events of one message, in their order. */
  add(events: readonly MessageEvent[]): void;
  /** One last try for what is left. */
  stop(): Promise<void>;
}

/** Messages kept while PostgreSQL is away. What does not fit is counted and said: it was sent all the same. */
const KEPT_MAX = 10_000;
const RETRY_MS = 2000;

/**
 * Writes what direct sends did as soon as PostgreSQL can take it; memory is all that keeps it until then. What can never
 * be written is said and left out, so that it does not stand in the way of the rest.
 */
export function createDirectRecorder(direct: Pick<Direct, 'write'>, log: Logger): DirectRecorder {
  const waiting: (readonly MessageEvent[])[] = [];
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function writeAll(): Promise<void> {
    for (let events = waiting[0]; events !== undefined; events = waiting[0]) {
      try {
        await direct.write(events);
      } catch (error) {
        if (!(error instanceof AppError && error.retryable)) {
          log.error({ err: error, message: events[0]?.messageId }, 'a direct send could not be recorded; it was sent');
          waiting.shift();
          continue;
        }
        if (!isStopped) {
          timer = setTimeout(start, RETRY_MS);
          timer.unref();
        }
        log.debug({ err: error, waiting: waiting.length }, 'direct sends wait to be recorded');
        return;
      }
      waiting.shift();
    }
    if (dropped > 0) log.error({ dropped }, 'direct sends were not recorded: PostgreSQL was away for too long');
    dropped = 0;
  }

  function start(): void {
    if (writing !== undefined) return;
    clearTimeout(timer);
    writing = writeAll().finally(() => {
      writing = undefined;
    });
  }

  return {
    add(events) {
      if (waiting.length >= KEPT_MAX) {
        waiting.splice(1, 1); // not the first: it may be on its way
        dropped += 1;
      }
      waiting.push(events);
      start();
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
