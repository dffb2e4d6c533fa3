import pino, { type Logger } from 'pino';
import { formatProblems, loadConfig } from './config/index.ts';
import type { QueueService } from './jobs/index.ts';
import type { Messages, MessageView } from './messages/index.ts';
import { messageRequestSchema, parseRequest } from './messages/request.ts';
import { type Program, type Role, startProgram } from './program/start-program.ts';

export { AppError } from './errors/app-error.ts';
export type { ErrorCode } from './errors/catalogue.ts';
export type { QueueService } from './jobs/index.ts';
export type { Messages, MessageView } from './messages/index.ts';

export interface WaxwingOptions {
  /** Settings by their names, over those of the environment: `{ REDIS_URL: 'redis://…' }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What this process does; default WAXWING_ROLE. `web` only accepts, `worker` sends. */
  readonly role?: Role;
  /** Serve the HTTP API too; default false. */
  readonly listen?: boolean;
  /** A pino logger; default: errors on stdout. */
  readonly log?: Logger;
}

export interface WhatsAppSend {
  /** The tenant; the restaurant product's own word for it. */
  readonly restaurantId: string | number;
  readonly conversationId?: string;
  /** E.164 with `+`. */
  readonly phoneNumber: string;
  readonly text: string;
}

/** Waxwing inside another program, over the same queue and record as all its other processes. */
export interface Waxwing {
  /** Accept, read, list and cancel; see `Messages`. Usable after `start()`. */
  readonly messages: Messages;
  /** Job queues: webhooks, statuses, reminders, e-mail. Usable after `start()`. */
  readonly queues: QueueService;
  /** @throws Error with every wrong setting at once, or with a sentence when a part cannot start */
  start(): Promise<void>;
  /** Finishes what is in flight. Safe to call twice. */
  stop(): Promise<void>;
  /**
   * Puts a text on the queue; when it returns, the message is on disk.
   * @param priority 1 … 10, 10 first; default 5
   * @returns the job: `id` is the message id
   * @throws AppError `REQUEST_INVALID` (not retryable), `BACKLOG_FULL`, `QUEUE_UNAVAILABLE`, `QUEUE_FULL` (retryable)
   */
  enqueueWhatsAppSend(send: WhatsAppSend, priority?: number): Promise<MessageView>;
}

/** Makes an instance; nothing runs before `start()`. */
export function createWaxwing(options: WaxwingOptions = {}): Waxwing {
  let program: Promise<Program> | undefined;
  let running: Program | undefined;
  const current = (): Program => {
    if (running === undefined) throw new Error('Waxwing was not started: await start() first.');
    return running;
  };

  return {
    get messages() {
      return current().messages;
    },
    get queues() {
      return current().queues;
    },
    async start() {
      program ??= startFrom(options);
      running = await program;
    },
    async stop() {
      await (await program)?.stop();
    },
    async enqueueWhatsAppSend({ restaurantId, conversationId, phoneNumber, text }, priority = 5) {
      const request = parseRequest(messageRequestSchema, {
        tenant: String(restaurantId),
        to: phoneNumber,
        type: 'text',
        text: { body: text },
        priority,
        ...(conversationId === undefined ? {} : { conversation: conversationId }),
      });
      return (await current().messages.accept(request, { kind: 'platform' })).message;
    },
  };
}

async function startFrom({ settings, role, listen = false, log }: WaxwingOptions): Promise<Program> {
  // The library is a door of the program like the command line, so it reads the environment as that does.
  // eslint-disable-next-line no-restricted-properties
  const loaded = loadConfig({ ...process.env, ...settings }, process.cwd());
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems));
  const { config } = loaded;
  return await startProgram(config, role ?? config.waxwingRole, log ?? pino({ level: 'error' }), { listen });
}
