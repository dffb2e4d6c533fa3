import { Cluster, type Redis } from 'ioredis';
import { AppError } from '../errors/app-error.ts';
import type { RedisClient } from './connection.ts';
import type { CancelDetail, RedriveDetail } from './events.ts';
import { shardPrefix, WORKER_GROUP } from './keys.ts';
import { readLiving } from './living.ts';
import { type ScriptArg, toQueueError } from './script-runner.ts';
import { parseConsumers, parseGroups, parseStream } from './stream-info.ts';
import { sweepAll } from './stream-claims.ts';
import { decodeTenant } from './tenant-record.ts';

/** What an act on streams is about: one shard or all, one sender or all. */
export interface StreamScope {
  /** Undefined = all. */
  readonly shard: number | undefined;
  /** Undefined = all. Its shard must be the one above. */
  readonly sender: string | undefined;
}

export interface ShardHealth {
  readonly shard: number;
  readonly isPaused: boolean;
  /** False: somebody destroyed the consumer group; the next heartbeat makes it again. */
  readonly hasGroup: boolean;
  /** Entries in the stream that no worker was given. */
  readonly queueDepth: number;
  /** Living workers in the consumer group. */
  readonly consumers: number;
  /** Hand-overs that a worker holds. */
  readonly pending: number;
  readonly lastDeliveredId: string;
  /** Accepted and not settled, by state. */
  readonly backlog: Backlog;
  /** Workers that beat of late. */
  readonly workers: number;
}

export interface Backlog {
  /** Stand in their conversation, and nobody sends them. */
  readonly waiting: number;
  /** Stand outside: scheduled, waiting for a slow retry, or for a person. */
  readonly outside: number;
  /** With a worker, or nobody knows what became of their attempt. */
  readonly inFlight: number;
}

export interface Skipped {
  /** Messages that are `cancelled` now. */
  readonly cancelled: number;
  /** Left alone: in flight, or their outcome is unknown. */
  readonly kept: number;
}

export interface Restarted {
  readonly retries: number;
  readonly deferred: number;
  readonly unknown: number;
  readonly kept: number;
}

export interface Regrouped {
  readonly returned: number;
  readonly kept: number;
  readonly removed: number;
}

export interface Claimed {
  /** Hand-overs of dead workers that were taken over. */
  readonly claimed: number;
  /** Entries that nobody needed any more. */
  readonly removed: number;
  /** Workers that no longer answer. */
  readonly workers: readonly string[];
}

type Run = (name: 'skip' | 'restart' | 'regroup', shard: number, args: readonly ScriptArg[]) => Promise<number[]>;
type Reclaim = (shard: number, worker: string, beat: string) => Promise<{ entries: number; isGone: boolean }>;

export interface StreamDeskOptions {
  readonly client: RedisClient;
  readonly shards: number;
  readonly run: Run;
  readonly reclaim: Reclaim;
  readonly sweep: (shard: number, worker: string) => Promise<{ removed: number }>;
  /** A worker whose heart stands still for this long is dead, ms. */
  readonly deadAfterMs?: number;
}

/** Messages or lanes per script call: a script stays under 2 ms. */
const PIECE = 50;
const SCAN_COUNT = 500;

/** What people do with the hand-over streams. Every call may be repeated; accepted messages never vanish by one. */
export class StreamDesk {
  readonly #options: StreamDeskOptions;

  constructor(options: StreamDeskOptions) {
    this.#options = options;
  }

  get shards(): number {
    return this.#options.shards;
  }

  async health(shard: number): Promise<ShardHealth> {
    const prefix = shardPrefix(shard);
    const { client } = this.#options;
    return await this.#ask(async () => {
      const [groups, consumers, stream, counters, living, paused] = await Promise.all([
        info(client, 'GROUPS', `${prefix}out`),
        info(client, 'CONSUMERS', `${prefix}out`, WORKER_GROUP),
        info(client, 'STREAM', `${prefix}out`),
        client.hgetall(`${prefix}n`),
        readLiving(client, prefix),
        client.hget(`${prefix}g`, 'paused'),
      ]);
      const group = parseGroups(groups).find(({ name }) => name === WORKER_GROUP);
      const { length, lastId } = parseStream(stream);
      const of = (name: string) => Number(counters[name] ?? 0);
      return {
        shard,
        isPaused: paused === '1',
        hasGroup: group !== undefined,
        queueDepth: Math.max(0, length - (group?.pending ?? 0)),
        consumers: parseConsumers(consumers).filter(({ name }) => living.has(name)).length,
        pending: group?.pending ?? 0,
        lastDeliveredId: group?.lastDeliveredId ?? lastId,
        backlog: {
          waiting: of('queued'),
          outside: of('scheduled') + of('deferred') + of('held'),
          inFlight: of('inFlight') + of('unknown'),
        },
        workers: living.size,
      };
    });
  }

  /** What waits through one sender, from its tenants' counters. */
  async backlogOf(shard: number, sender: string): Promise<Backlog> {
    const sum = { waiting: 0, outside: 0, inFlight: 0 };
    for await (const tenants of this.#scanHash(`${shardPrefix(shard)}q:${sender}`)) {
      for (const packed of tenants.values()) {
        const { inFlight, backlog, parked } = decodeTenant(packed);
        sum.waiting += Math.max(0, backlog - inFlight);
        sum.outside += parked;
        sum.inFlight += inFlight;
      }
    }
    return sum;
  }

  /** Ends everything of the scope that was accepted until now and is unsent; it becomes `cancelled` in the record, by that person. */
  async skip(scope: StreamScope, by: string): Promise<Skipped> {
    const sum = { cancelled: 0, kept: 0 };
    const detail = JSON.stringify({ by } satisfies CancelDetail);
    const add = ([, ended = 0, , kept = 0]: readonly number[]) => {
      sum.cancelled += ended;
      sum.kept += kept;
    };
    for (const shard of this.#shardsOf(scope)) {
      // What is accepted from now on is not meant.
      const until = Number((await this.#ask((client) => client.hget(`${shardPrefix(shard)}g`, 'seq'))) ?? 0);
      for await (const ids of this.#parked(shard)) {
        add(await this.#options.run('skip', shard, ['parked', scope.sender ?? '', detail, ...ids]));
      }
      for await (const lanes of this.#lanes(shard, scope.sender)) {
        for (const lane of lanes) {
          for (let highest = until; highest >= 0;) {
            const reply = await this.#options.run('skip', shard, ['lane', lane, highest, PIECE, detail]);
            add(reply);
            highest = reply[2] ?? -1;
          }
        }
      }
    }
    return sum;
  }

  /** Everything of the scope that waits after an attempt may go at once, the unknown included: it may be sent twice. */
  async restart(scope: StreamScope, by: string): Promise<Restarted> {
    const sum = { retries: 0, deferred: 0, unknown: 0, kept: 0 };
    const detail = JSON.stringify({ cause: 'person', by, delayMs: 0 } satisfies RedriveDetail);
    const add = ([, retries = 0, deferred = 0, unknown = 0, kept = 0]: readonly number[]) => {
      sum.retries += retries;
      sum.deferred += deferred;
      sum.unknown += unknown;
      sum.kept += kept;
    };
    for (const shard of this.#shardsOf(scope)) {
      for await (const flights of this.#scanHash(`${shardPrefix(shard)}f`)) {
        for (const lanes of pieces([...flights.keys()])) {
          add(await this.#options.run('restart', shard, ['lanes', scope.sender ?? '', detail, ...lanes]));
        }
      }
      for await (const ids of this.#parked(shard)) {
        add(await this.#options.run('restart', shard, ['parked', scope.sender ?? '', detail, ...ids]));
      }
    }
    return sum;
  }

  /** Destroys stream and group of the scope's shards and builds them again; every message stays accepted. */
  async regroup(scope: StreamScope): Promise<Regrouped> {
    const sum = { returned: 0, kept: 0, removed: 0 };
    for (const shard of this.#shardsOf(scope)) {
      const [, returned = 0, kept = 0, removed = 0] = await this.#options.run('regroup', shard, []);
      sum.returned += returned;
      sum.kept += kept;
      sum.removed += removed;
    }
    return sum;
  }

  /** Takes over what workers hold whose heart stands still, without waiting for another worker to notice. */
  async claim(scope: StreamScope): Promise<Claimed> {
    const { client, reclaim, sweep, deadAfterMs = 4000 } = this.#options;
    const shards = this.#shardsOf(scope);
    return await this.#ask(async () => {
      const parts = await Promise.all(shards.map((shard) => sweepAll({ client, shard, reclaim, sweep, deadAfterMs })));
      return {
        claimed: parts.reduce((sum, part) => sum + part.claimed, 0),
        removed: parts.reduce((sum, part) => sum + part.removed, 0),
        workers: parts.flatMap((part) => part.workers),
      };
    });
  }

  #shardsOf({ shard }: StreamScope): number[] {
    return shard === undefined ? Array.from({ length: this.shards }, (_, one) => one) : [shard];
  }

  async *#parked(shard: number): AsyncGenerator<string[]> {
    for await (const fields of this.#scanHash(`${shardPrefix(shard)}sch`)) yield* pieces([...fields.keys()]);
  }

  async *#lanes(shard: number, sender: string | undefined): AsyncGenerator<string[]> {
    const prefix = `${shardPrefix(shard)}c:`;
    const pattern = `${glob(prefix + (sender === undefined ? '' : `${sender}|`))}*`;
    const { client } = this.#options;
    for (const node of client instanceof Cluster ? client.nodes('master') : [client]) {
      let cursor = '0';
      do {
        const [next, keys] = await this.#ask(() => node.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT));
        yield keys.map((key) => key.slice(prefix.length));
        cursor = next;
      } while (cursor !== '0');
    }
  }

  async *#scanHash(key: string): AsyncGenerator<Map<string, Buffer>> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#ask((client) => client.hscanBuffer(key, cursor, 'COUNT', SCAN_COUNT));
      const fields = new Map<string, Buffer>();
      for (let i = 0; i + 1 < flat.length; i += 2) fields.set(String(flat[i]), flat[i + 1] ?? Buffer.alloc(0));
      if (fields.size > 0) yield fields;
      cursor = next.toString();
    } while (cursor !== '0');
  }

  async #ask<T>(question: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await question(this.#options.client as Redis);
    } catch (error) {
      throw error instanceof AppError ? error : toQueueError(error);
    }
  }
}

/** XINFO of a stream or a group that is not there yet is an error; here it is nothing. */
async function info(
  client: RedisClient,
  what: 'GROUPS' | 'CONSUMERS' | 'STREAM',
  ...names: readonly string[]
): Promise<unknown[]> {
  try {
    return (await client.call('XINFO', what, ...names)) as unknown[];
  } catch (error) {
    if (error instanceof Error && /no such key|^NOGROUP/i.test(error.message)) return [];
    throw error;
  }
}

function* pieces<T>(items: readonly T[]): Generator<T[]> {
  for (let from = 0; from < items.length; from += PIECE) yield items.slice(from, from + PIECE);
}

/** The id of a sender is no pattern. */
function glob(text: string): string {
  return text.replaceAll(/[\\*?[\]]/g, '\\$&');
}
