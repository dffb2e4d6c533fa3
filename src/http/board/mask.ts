/**
 * What the board shows of jobs: ids, words of ours and times as they are; everything that a person wrote or is called
 * by is masked, whatever field it stands in. A new field is hidden until it is named here.
 */
const SHOWN = new Set(
  (
    'id type kind status state template locale provider sender tenant salonId conversation bookingId reminderType ' +
    'reminderId receivedAt timestamp serviceDate event outcome object field entry code providerCode messageId ' +
    'providerMessageId createdAt sentAt deliveredAt readAt sendAt expiresAt why sent hold title reminder'
  ).split(' '),
);

/** Plus and at least eight digits, also with what people put between them. */
const PHONE = /\+?\d(?:[ ().-]?\d){7,14}(?![\w-])/g;
const EMAIL = /[^\s@<>"']+@[^\s@<>"']+\.[^\s@<>"']+/g;

/** A text of ours (an error, a log line) without numbers and addresses of people. */
export function maskText(text: string): string {
  return text.replace(EMAIL, '•••@•••').replace(PHONE, maskNumber);
}

function maskNumber(number: string): string {
  return `•••••${number.slice(-2)}`;
}

/** The data of a job, shape kept. */
export function maskData(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => maskData(one, key));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, maskData(inner, name)]));
  }
  if (typeof value !== 'string') return value;
  if (SHOWN.has(key) && isPlainWord(value)) return value;
  if (/^\+?[\d ().-]{8,20}$/.test(value)) return maskNumber(value);
  return value === '' ? value : `[${value.length} characters]`;
}

/** No bare phone number: some providers use them as ids. Our ids and times hold letters. */
function isPlainWord(value: string): boolean {
  return value.length <= 200 && !/^\+?[\d ().]{8,20}$/.test(value) && !value.includes('@');
}

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
