/** Numbers and times as people read them. */

const whole = new Intl.NumberFormat('en');
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export function count(value: number): string {
  return value < 100_000 ? whole.format(Math.round(value)) : short.format(value);
}

export function perSecond(value: number): string {
  return value >= 10 ? whole.format(Math.round(value)) : String(Math.round(value * 10) / 10);
}

/** A length of time: `340 ms`, `2.4 s`, `3 min`, `2 h 5 min`, `4 d`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.round(hours / 24)} d`;
}

const clock = new Intl.DateTimeFormat(undefined, {
  hourCycle: 'h23',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});
const day = new Intl.DateTimeFormat(undefined, {
  hourCycle: 'h23',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** The clock today, with the day otherwise. */
export function time(at: string | number): string {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString() ? clock.format(date) : day.format(date);
}

const minute = new Intl.DateTimeFormat(undefined, {
  hourCycle: 'h23',
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

/** Of an appointment: the day and the minute. */
export function moment(at: string): string {
  return minute.format(new Date(at));
}

/** A sentence of the server, its times on this machine's clock. */
export function withTimes(sentence: string): string {
  return sentence.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (at) => time(at));
}

export const STATUS_WORDS: Readonly<Record<string, string>> = {
  queued: 'Waiting',
  sending: 'Sending',
  sent: 'Sent',
  delivered: 'Delivered',
  read: 'Read',
  scheduled: 'Scheduled',
  deferred: 'Slow retry',
  unknown: 'Outcome unknown',
  failed: 'Failed',
  cancelled: 'Cancelled',
  expired: 'Expired',
  received: 'Received',
};

/** Holds in the words of a person, and what they mean. */
export const HOLD_WORDS: Readonly<Record<string, readonly [name: string, meaning: string]>> = {
  ready: ['Ready', 'Nothing holds them: a worker takes them next.'],
  conversation: ['Conversation', 'An earlier message of the same conversation goes first.'],
  pair: ['Contact pace', 'WhatsApp paces messages to one contact.'],
  tenant: ['Tenant', 'The tenant has as many in flight as it may, or is paused.'],
  'sender-rate': ['Sender rate', 'The sender sends as fast as it may.'],
  'sender-paused': ['Sender paused', 'The sender is paused.'],
  circuit: ['Circuit open', 'The provider failed too often: a probe goes first.'],
  scheduled: ['Scheduled', 'They have a time of their own.'],
  deferred: ['Slow retry', 'The fast attempts failed: they are tried again later.'],
  retry: ['Retry', 'An attempt failed: the next one follows in seconds.'],
  unknown: ['Outcome unknown', 'An attempt’s answer was lost: evidence is awaited.'],
  held: ['Held', 'The outcome was lost twice: a person decides.'],
  window: ['24-hour window', 'Outside the customer service window.'],
  'template-paused': ['Template paused', 'WhatsApp paused the template.'],
};

export const holdName = (hold: string) => HOLD_WORDS[hold]?.[0] ?? hold;
