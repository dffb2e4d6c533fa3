import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedError } from './embedded-error.ts';
import { lastLines } from './log-file.ts';

export interface TornLogOptions {
  /** Redis' own log. */
  readonly log: string;
  readonly port: number;
  readonly password: string | undefined;
  /** The process that has just loaded its data. */
  readonly pid: number;
}

const REWRITE_MS_MAX = 120_000;
const ASK_MS_MAX = 5_000;
const LOOK_EVERY_MS = 20;

/**
 * Has the log rewritten when Redis found its end torn off, as after a power cut within a write. Redis (7.0.15 at least)
 * cuts such a log behind the last whole command, which may lie within a transaction: the half of it that is left is not
 * run now, and at the next start it is, together with what was written behind it. Nobody ever heard of that half, so
 * nothing is lost with it, and with it the queue would stand in a state that it never was in.
 * @throws EmbeddedError `REDIS_FAILED` when the log cannot be rewritten: a start must not hide what the next one breaks
 */
export async function mendTornLog(options: TornLogOptions): Promise<boolean> {
  const { log, pid } = options;
  const torn = new RegExp(`^${pid}:\\w .*Truncating the AOF`);
  if (!torn.test(lastLines(log, torn))) return false;
  await ask(options, 'BGREWRITEAOF');
  const endMs = performance.now() + REWRITE_MS_MAX;
  for (;;) {
    const state = await ask(options, 'INFO persistence');
    const isRunning = /aof_rewrite_(?:in_progress|scheduled):1/.test(state);
    if (!isRunning && /aof_last_bgrewrite_status:ok/.test(state)) return true;
    if (!isRunning || performance.now() > endMs) {
      throw new EmbeddedError(
        'REDIS_FAILED',
        'The end of the log of Redis was torn off, and the log could not be rewritten: free space on the disk and start again.',
      );
    }
    await delay(LOOK_EVERY_MS);
  }
}

/** One command, by the inline protocol. @returns all that came until the server had nothing more to say */
function ask({ port, password }: TornLogOptions, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.setTimeout(ASK_MS_MAX, () => socket.destroy(new Error('Redis does not answer')));
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('close', () => resolve(text));
    // QUIT ends the connection from the other side, behind the answer.
    socket.on('connect', () =>
      socket.write(`${password === undefined ? '' : `AUTH ${password}\r\n`}${command}\r\nQUIT\r\n`),
    );
  });
}
