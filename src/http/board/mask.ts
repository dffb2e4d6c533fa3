import { maskData, maskText } from '../mask.ts';

interface BoardJob {
  readonly data?: unknown;
  readonly returnValue?: unknown;
  readonly failedReason?: string;
  readonly stacktrace?: readonly string[];
  readonly progress?: unknown;
}

function maskJob(job: BoardJob): BoardJob {
  return {
    ...job,
    data: maskData(job.data),
    returnValue: maskData(job.returnValue),
    progress: maskData(job.progress),
    ...(job.failedReason === undefined ? {} : { failedReason: maskText(job.failedReason) }),
    ...(job.stacktrace === undefined ? {} : { stacktrace: job.stacktrace.map(maskText) }),
  };
}

/** Any answer of the board's API: lists of queues with jobs, one job, log lines. */
export function maskAnswer(answer: unknown): unknown {
  if (Array.isArray(answer))
    return answer.map((one: unknown) => (typeof one === 'string' ? maskText(one) : maskAnswer(one)));
  if (typeof answer !== 'object' || answer === null) return answer;
  const entries = Object.entries(answer).map(([name, value]): [string, unknown] => {
    if (name === 'job' && typeof value === 'object' && value !== null) return [name, maskJob(value as BoardJob)];
    if (name === 'jobs' && Array.isArray(value)) return [name, value.map((job) => maskJob(job as BoardJob))];
    if (name === 'data') return [name, maskData(value)];
    if (typeof value === 'object') return [name, maskAnswer(value)];
    return [name, value];
  });
  return Object.fromEntries(entries);
}
