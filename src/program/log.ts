import pino, { type Logger } from 'pino';
import { errorFields } from '../util/error-fields.ts';

/** Fields that must never be written, wherever they stand: a second wall behind not passing them at all. */
const SECRET_PATHS = [
  'authorization',
  'apiKey',
  'accessToken',
  'credentials',
  'password',
  'body',
  '*.authorization',
  '*.apiKey',
  '*.accessToken',
  '*.credentials',
  '*.password',
  '*.body',
  'req.headers',
];

/**
 * The program's log: one JSON object per line on stdout, or short lines when a person reads along on a terminal.
 * @param level `LOG_LEVEL`
 */
export function createLog(level: string): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: SECRET_PATHS };
  const log = process.stdout.isTTY ? pino(options, { write: (line: string) => writeShort(line) }) : pino(options);
  return withSafeErrors(log);
}

/** The same log, whoever made it, with nothing on errors but what `errorFields()` lets through. */
export function withSafeErrors(log: Logger): Logger {
  return log.child({}, { serializers: { err: errorFields } });
}

/**
 * A fault that nobody caught ends the process, as without this, but is written to its log: Node would print the error
 * with all that a driver keeps on it. What was accepted is safe; whoever watches the process starts it anew.
 */
export function logLastWords(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'ended by a fault of its own; please report it');
    process.exit(1);
  });
}

const LEVELS: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const COLOURS: Readonly<Record<number, number>> = { 40: 33, 50: 31, 60: 31 };

function writeShort(line: string): void {
  const { time, level, msg, err, ...fields } = JSON.parse(line) as {
    time: string;
    level: number;
    msg?: string;
    err?: { message?: string };
  } & Record<string, unknown>;
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  if (err?.message !== undefined) rest.push(err.message);
  const name = (LEVELS[level] ?? '').padEnd(5);
  const colour = COLOURS[level];
  const shown = colour === undefined ? name : `\u001b[${colour}m${name}\u001b[0m`;
  process.stdout.write(`${time.slice(11, 19)} ${shown} ${msg ?? ''}${rest.length > 0 ? `  ${rest.join(' ')}` : ''}\n`);
}
