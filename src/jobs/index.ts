export type {
  EmailJobData,
  JobDataOf,
  MessageStatusJobData,
  ReminderJobData,
  RespondJobData,
  WebhookJobData,
} from './data.ts';
export { JobImpossible, JobLater } from './outcome.ts';
export { JOB_QUEUE_IDS, JOB_QUEUES, PRIORITY, queueNamed, type JobQueueId, type QueueEntry } from './queues.ts';
export type { AddedJob, AddOptions } from './adding.ts';
export { CLEANABLE_STATES, type CleanableState, type QueueDetail, type QueueStats } from './upkeep.ts';
export { createQueueService, type QueueService, type QueueServiceOptions } from './service.ts';
export {
  createJobWorkers,
  type JobContext,
  type JobEvent,
  type JobProcessor,
  type JobProcessors,
  type JobWorkers,
} from './workers.ts';
export {
  createQueueAdministration,
  SEND_QUEUE_NAME,
  type QueueAdministration,
  type QueueFigures,
} from './administration.ts';
export { emailProcessor } from './processors/email.ts';
export { reminderProcessor, reminderRequest } from './processors/reminder.ts';
