import pino from 'pino';

/** What a driver or Node adds to an error that names a place or a kind, and never a value. */
const SAFE_FIELDS = [
  'code',
  'status',
  'field',
  'severity',
  'table',
  'column',
  'constraint',
  'syscall',
  'address',
  'port',
];

/** V8 quotes the text that is no JSON, all of it when it is short. */
const QUOTED_JSON = /".*?"[.]*( is not valid JSON)/gs;

/**
 * An error as a log may write it: its kind, its words, its causes' and where it happened. Drivers keep more on it:
 * PostgreSQL the row that it refused, the Redis client the command with all its arguments. That would be message texts.
 */
export function errorFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = pino.stdSerializers.err(error);
  const words = { type, message: withoutText(message), stack: withoutText(stack) };
  const known = SAFE_FIELDS.map((name) => [name, Reflect.get(error, name) as unknown] as const);
  return { ...words, ...Object.fromEntries(known.filter(([, value]) => ['string', 'number'].includes(typeof value))) };
}

function withoutText(words: string): string {
  return words.replace(QUOTED_JSON, '"…"$1');
}
