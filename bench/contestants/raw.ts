import { Redis } from 'ioredis';
import { atOnce, type LoadMessage } from '../load.ts';
import type { AcceptPlan, Contestant, DrainPlan } from './contestant.ts';

const STREAM = 'bench:stream';
const GROUP = 'bench';

type Entry = [id: string, fields: string[]];

/** Bare stream commands, one set per message: what Redis and the client cost without any scheduling at all. */
export class RawContestant implements Contestant {
  readonly name = 'raw stream';
  #redis: Redis | undefined;
  #url = '';

  async open(url: string): Promise<void> {
    this.#url = url;
    this.#redis = new Redis(url, { protocol: 2 });
    this.#redis.on('error', () => undefined);
    await this.#redis.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM');
  }

  async accept({ from, count, places, message }: AcceptPlan): Promise<void> {
    const redis = this.#redis;
    if (redis === undefined) throw new Error('open() first');
    const one = async (index: number): Promise<void> => {
      const { conversation, tenant, body } = message(index);
      await redis.xadd(STREAM, '*', 'd', JSON.stringify({ conversation, index, tenant, body }));
    };
    await atOnce(count, places, one, from);
  }

  /** A reader on a connection of its own reads as much as there are free places; each message is settled alone. */
  async drain({ count, places, handle }: DrainPlan): Promise<number> {
    const redis = this.#redis;
    if (redis === undefined) throw new Error('open() first');
    const reader = new Redis(this.#url, { protocol: 2 });
    await reader.ping();
    let free = places;
    let done = 0;
    let wake: (() => void) | undefined;
    const work = async ([id, fields]: Entry): Promise<void> => {
      const data = JSON.parse(fields[1] ?? '') as { conversation: string; index: number; body: LoadMessage['body'] };
      await handle(data);
      await Promise.all([redis.xack(STREAM, GROUP, id), redis.xdel(STREAM, id)]);
      free += 1;
      done += 1;
      wake?.();
    };
    const startedAt = performance.now();
    while (done < count) {
      if (free === 0 || count - done === places - free) {
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
        continue;
      }
      const reply = (await reader.xreadgroup('GROUP', GROUP, 'w', 'COUNT', free, 'STREAMS', STREAM, '>')) as
        [string, Entry[]][] | null;
      for (const entry of reply?.[0]?.[1] ?? []) {
        free -= 1;
        void work(entry);
      }
    }
    const tookMs = performance.now() - startedAt;
    reader.disconnect();
    return tookMs;
  }

  close(): Promise<void> {
    this.#redis?.disconnect();
    return Promise.resolve();
  }
}
