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
  let dropped = 0;
  let writing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function writeAll(): Promise<void> {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const { events, answer } = first;
      try {
        await direct.write(events);
      } catch (error) {
        if (!(error instanceof AppError && error.retryable)) {
          log.error({ err: error, message: events[0]?.messageId }, 'a direct send could not be recorded; it was sent');
          waiting.shift();
          answer();
          continue;
        }
        for (const one of waiting) one.answer();
        if (!isStopped) {
          timer = setTimeout(start, RETRY_MS);
          timer.unref();
        }
        log.debug({ err: error, waiting: waiting.length }, 'direct sends wait to be recorded');
        return;
      }
      waiting.shift();
      answer();
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
        const [oldest] = waiting.splice(1, 1); // not the first: it may be on its way
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
