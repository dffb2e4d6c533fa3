import type { Redis } from 'ioredis';
import type { Lane, MessageError } from '../model/message.ts';
import { sealBody } from './body.ts';
import type { RedisClient } from './connection.ts';
import type { TenantLimits } from './contract.ts';
import type { RedriveDetail, SettleDetail } from './events.ts';
import { shardPrefix } from './keys.ts';
import { packLane } from './lane.ts';
import { type ScriptArg, toQueueError } from './script-runner.ts';

/** A message as the record has it, for the engine to take it again. */
export interface ReturningMessage {
  readonly id: string;
  readonly shard: number;
  readonly lane: Lane;
  readonly contact: string;
  readonly priority: number;
  readonly expiresAtMs: number | null;
  /** `MessageBody` as JSON. */
  readonly body: string;
  /** Attempts that the record knows: with the id it makes a call of this kind happen once. */
  readonly attempts: number;
  readonly tenantLimits: TenantLimits;
}

/** `not-there`: not in the state that the call is for, or the same was done before. Nothing changed then. */
export type RetryResult = 'done' | 'not-there' | 'backlog-full' | 'expired' | 'unknown-sender';

const RESULTS: Readonly<Record<number, RetryResult>> = {
  1: 'done',
  0: 'not-there',
  2: 'backlog-full',
  3: 'expired',
  [-1]: 'unknown-sender',
};

/** A message that waits for a slow retry, as the engine has it. */
export interface WaitingRetry {
  readonly id: string;
  readonly shard: number;
  /** Wall clock, epoch ms. */
  readonly dueAtMs: number;
}

/** What the record knows of a message that waits for a slow retry. */
export interface KnownTries {
  /** 0 = none: where it was tried before, no attempt is on record. */
  readonly attempts: number;
  /** Slow retries that it has behind it, the one that it waits for included. */
  readonly slowRetries: number;
}

type Target = Pick<ReturningMessage, 'id' | 'shard' | 'lane'>;
type Run = (shard: number, args: readonly ScriptArg[]) => Promise<number>;

/**
 * The engine's side of retries that somebody else asks for: the record (a failure reported later), a person (redrive,
 * resend, close) or the retry worker. Every call is one atomic step, and safe to repeat: a message comes back once for
 * each number of attempts, whoever calls. All limits hold for what comes back, like for every other message.
 */
export class RetryDesk {
  readonly #client: RedisClient;
  readonly shards: number;
  readonly #run: Run;
  readonly #inspect: (target: Target, seq: number) => Promise<boolean>;

  /** @param inspect does the engine hold the message anywhere */
  constructor(client: RedisClient, shards: number, run: Run, inspect: (t: Target, seq: number) => Promise<boolean>) {
    this.#client = client;
    this.shards = shards;
    this.#run = run;
    this.#inspect = inspect;
  }

  /**
   * Takes a message in again that had ended: at once, or after a wait.
   * @param from what the engine had counted it as: `sent` for one whose delivery failed later, `lost` for one that this
   *   Redis does not know
   * @param slowRetries that it has behind it; 0 = a whole schedule is before it
   */
  async redrive(
    message: ReturningMessage,
    from: 'failed' | 'sent' | 'lost',
    detail: RedriveDetail,
    slowRetries = 0,
  ): Promise<RetryResult> {
    return await this.#call(message, 'redrive', JSON.stringify(detail), [
      from,
      message.attempts,
      slowRetries,
      Math.max(0, Math.round(detail.delayMs)),
      ...carried(message),
    ]);
  }

  /**
   * Takes in a message that somebody else tried in vain: it waits for its slow retry at once.
   * @param delayMs null = its retries are used up, so it has failed
   */
  async log(
    message: ReturningMessage,
    failure: { readonly error: MessageError; readonly slowRetries: number; readonly delayMs: number | null },
  ): Promise<RetryResult> {
    const { error, slowRetries, delayMs } = failure;
    const detail: SettleDetail = {
      report: null,
      error,
      slowRetries,
      ...(delayMs === null ? {} : { delayMs }),
    };
    return await this.#call(message, 'log', '', [
      'failed',
      message.attempts,
      slowRetries + 1,
      delayMs === null ? -1 : Math.round(delayMs),
      ...carried(message),
      JSON.stringify(detail),
    ]);
  }

  /**
   * A deferred message goes now instead of at its time; not when it was tried again since the caller looked, because it
   * may wait for a pause by now that nobody may cut short.
   */
  async hasten(target: Target, known: KnownTries): Promise<RetryResult> {
    return await this.#call(target, 'hasten', '', [known.attempts, known.slowRetries]);
  }

  /** A message that waits for a person is sent again. */
  async resend(target: Target, by: string): Promise<RetryResult> {
    const detail: RedriveDetail = { cause: 'person', by, delayMs: 0 };
    return await this.#call(target, 'resend', JSON.stringify(detail), []);
  }

  /** A message that waits for a person ends; nobody knows whether it was sent. */
  async close(target: Target, by: string, error: MessageError): Promise<RetryResult> {
    const detail: SettleDetail = { report: null, error, closedBy: by };
    return await this.#call(target, 'close', JSON.stringify(detail), []);
  }

  /** A deferred message is let go because the record proves that it was sent. No event: the record knows already. */
  async settled(target: Target): Promise<RetryResult> {
    return await this.#call(target, 'settled', '', []);
  }

  /** Everything that waits for a slow retry, a few at a time; messages that change meanwhile may be missing or double. */
  async *waiting(): AsyncGenerator<readonly WaitingRetry[]> {
    for (let shard = 0; shard < this.shards; shard += 1) {
      const prefix = shardPrefix(shard);
      let cursor = '0';
      do {
        const off = Number((await this.#ask((client) => client.hget(`${prefix}g`, 'off'))) ?? 0);
        const [next, flat] = await this.#ask((client) =>
          client.zscan(`${prefix}tm`, cursor, 'MATCH', 'd:*', 'COUNT', 500),
        );
        const found: WaitingRetry[] = [];
        for (let i = 0; i + 1 < flat.length; i += 2) {
          found.push({ id: (flat[i] ?? '').slice(2), shard, dueAtMs: Number(flat[i + 1]) - off });
        }
        if (found.length > 0) yield found;
        cursor = next;
      } while (cursor !== '0');
    }
  }

  /** Which of these are parked in the engine: deferred, scheduled or held. */
  async parked(shard: number, ids: readonly string[]): Promise<ReadonlySet<string>> {
    const key = `${shardPrefix(shard)}sch`;
    const replies = await this.#ask(async (client) => {
      const pipeline = client.pipeline();
      for (const id of ids) pipeline.hexists(key, id);
      return await pipeline.exec();
    });
    return new Set(ids.filter((_, index) => replies?.[index]?.[1] === 1));
  }

  /** Does the engine hold the message anywhere: parked, in its conversation or in flight. `seq` as in the record. */
  async isHeld(target: Target, seq: number): Promise<boolean> {
    return await this.#inspect(target, seq);
  }

  /** Time of the oldest event that is not recorded and forgotten yet, epoch ms; null = there is none. */
  async oldestEventMs(shard: number): Promise<number | null> {
    const reply = (await this.#ask((client) =>
      client.call('XRANGE', `${shardPrefix(shard)}ev`, '-', '+', 'COUNT', '1'),
    )) as [string, unknown][];
    const [first] = reply;
    return first === undefined ? null : Number(first[0].split('-')[0]);
  }

  async #call(target: Target, verb: string, detail: string, more: readonly ScriptArg[]): Promise<RetryResult> {
    const code = await this.#run(target.shard, [verb, target.id, packLane(target.lane), detail, ...more]);
    return RESULTS[code] ?? 'not-there';
  }

  async #ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await question(this.#client as Redis);
    } catch (error) {
      throw toQueueError(error);
    }
  }
}

/** Sealed like an accepted message: what the record gives back is checked at the hand-over too. */
function carried({ id, priority, contact, expiresAtMs, body, tenantLimits }: ReturningMessage): ScriptArg[] {
  const { concurrency, weight, backlogMax } = tenantLimits;
  return [priority, contact, expiresAtMs ?? '', sealBody(id, body), `${concurrency}|${weight}|${backlogMax}`];
}
