import { AppError } from '../errors/app-error.ts';
import type { Redis } from 'ioredis';
import type { RedisClient } from './connection.ts';
import { SCRIPTS, type ScriptName } from './generated/scripts.ts';
import { shardPrefix } from './keys.ts';

export type ScriptArg = string | number | Buffer;

/** Wall clock of the scripts in ms; `undefined` = Redis's own. Tests inject one. */
export type WallClock = (() => number) | undefined;

/** Runs the engine's scripts on a shard: by digest, and by text when Redis does not know it (restart, SCRIPT FLUSH). */
export class ScriptRunner {
  readonly #client: RedisClient;
  readonly #clock: WallClock;
  /** Script calls made, for benches and tests. */
  calls = 0;

  constructor(client: RedisClient, clock?: WallClock) {
    this.#client = client;
    this.#clock = clock;
  }

  get client(): RedisClient {
    return this.#client;
  }

  /**
   * @param over the connection to run it on, when it must be that one
   * @throws the client's own error; see `redisFailure`
   */
  async run(
    name: ScriptName,
    shard: number,
    args: readonly ScriptArg[],
    over: RedisClient | Redis = this.#client,
  ): Promise<unknown> {
    const script = SCRIPTS[name];
    const prefix = shardPrefix(shard);
    const now = this.#clock === undefined ? '' : String(this.#clock());
    this.calls += 1;
    try {
      return await over.call('EVALSHA', script.sha1, '1', prefix, now, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return await over.call('EVAL', script.text, '1', prefix, now, ...args);
    }
  }
}

/** Did Redis certainly not run the command, certainly refuse it, or do we not know. */
export type RedisFailure = 'full' | 'refused' | 'lost';

const REFUSALS = [
  ...['LOADING', 'READONLY', 'MISCONF', 'MASTERDOWN', 'CLUSTERDOWN', 'NOREPLICAS', 'TRYAGAIN', 'BUSY'],
  // The slot of the shard is elsewhere, or on its way.
  ...['MOVED', 'ASK'],
  // The password or the rights of this client are being changed.
  ...['NOAUTH', 'WRONGPASS', 'NOPERM'],
];
/** A command that ran and waited when its server lost its place to another one. */
const INTERRUPTED = 'UNBLOCKED';

export function redisFailure(error: unknown): RedisFailure | null {
  if (!(error instanceof Error)) return null;
  const { message } = error;
  if (message.startsWith('OOM') || message.includes("command not allowed when used memory > 'maxmemory'"))
    return 'full';
  if (REFUSALS.some((word) => message.startsWith(word))) return 'refused';
  if (message.startsWith(INTERRUPTED)) return 'lost';
  if (error.name === 'ReplyError') return null;
  return 'lost';
}

/** Our error for a Redis that cannot serve; programmer errors (script faults) pass through. */
export function toQueueError(error: unknown): unknown {
  const failure = redisFailure(error);
  if (failure === null) return error;
  return new AppError(failure === 'full' ? 'QUEUE_FULL' : 'QUEUE_UNAVAILABLE', { cause: error });
}

/** What Redis answers. @throws AppError `QUEUE_UNAVAILABLE` or `QUEUE_FULL` instead of the client's error */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toQueueError(error);
  }
}
