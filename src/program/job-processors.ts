import type { TagKey } from '../providers/tag.ts';
import type { Logger } from 'pino';
import type { Bookings } from '../bookings/index.ts';
import type { Config, Keys } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { emailProcessor, reminderProcessor, type JobProcessors, type QueueService } from '../jobs/index.ts';
import { createMailer } from '../mail/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Inbound } from './inbound.ts';
import type { Responding } from './responding.ts';
import type { Accepting } from './accepting.ts';

/** What processors may need; they are made once per worker process. */
export interface ProcessorParts {
  readonly config: Config;
  readonly keys: Keys;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly accepting: Accepting;
  readonly queues: QueueService;
  readonly tagKey: TagKey;
  readonly inbound: Inbound;
  readonly responding: Responding;
  readonly bookings: Bookings;
  readonly log: Logger;
}

/** One entry per part that works on job queues; the rooms above `jobs` are wired in here, because `jobs` may not know them. */
const PARTS: readonly ((parts: ProcessorParts) => JobProcessors)[] = [
  reminders,
  emails,
  ({ inbound }) => inbound.processors,
  ({ responding }) => responding.processors,
];

/** The processor of each job queue that has one. */
export function createJobProcessors(parts: ProcessorParts): JobProcessors {
  return Object.assign({}, ...PARTS.map((make) => make(parts))) as JobProcessors;
}

function reminders({ bookings, accepting }: ProcessorParts): JobProcessors {
  return { reminder: reminderProcessor({ bookings, messages: accepting.messages }) };
}

function emails({ config }: ProcessorParts): JobProcessors {
  const { smtpUrl, mailFrom } = config;
  const hasServer = smtpUrl !== undefined && mailFrom !== undefined;
  return { email: emailProcessor(hasServer ? createMailer({ smtpUrl, from: mailFrom }) : null) };
}
