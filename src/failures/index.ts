export type { ActReport } from './act.ts';
export type { DeadLetterDetail } from './dead-letter-detail.ts';
export { createDeadLetterDesk, type DeadLetterDesk } from './dead-letters.ts';
export {
  createFailures,
  type FailuresOptions,
  type FailureToLog,
  type RetryTotals,
  type WaxwingFailures,
} from './failures.ts';
export type { AuditReport } from './audit.ts';
export { createRetryWorker, type RetryWorker, type RetryWorkerStatus } from './retry-worker.ts';
export type { ReturnPorts } from './returning.ts';
export type { Selection } from './selection.ts';
