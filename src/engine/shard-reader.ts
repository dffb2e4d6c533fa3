import type { Redis } from 'ioredis';
import {
  blockingClient,
  disconnect,
  isCluster,
  nodeClient,
  openClient,
  type RedisTarget,
  SILENT_MS_MAX,
  whenReady,
} from './connection.ts';
import { shardPrefix } from './keys.ts';
import { ShardCluster } from './shard-cluster.ts';

const BLOCK_MS_MAX = 5000;

/**
 * A connection for the blocking reads of one shard. In a cluster it stands at the master of the shard's slot and moves
 * with it, also away from a master that stands still and would leave a read without an answer for ever.
 */
export class ShardReader {
  readonly #target: RedisTarget;
  readonly #key: string;
  readonly #blockMsMax: number;
  readonly #map: SharedMap | undefined;
  #client: Redis | undefined;
  #address: string | undefined;
  #closed = false;

  /** @param blockMsMax longest time for which its reads ask the server to wait; default 5 s */
  constructor(target: RedisTarget, shard: number, blockMsMax = BLOCK_MS_MAX) {
    this.#target = target;
    this.#blockMsMax = blockMsMax;
    this.#key = shardPrefix(shard);
    if (isCluster(target)) {
      this.#map = SharedMap.of(target);
      this.#map.cluster.on('refresh', this.#follow);
      this.#follow();
    } else {
      this.#client = blockingClient(target, blockMsMax);
    }
  }

  /** Resolves true when it can be read, false when it could not within `timeoutMs`. */
  async whenReady(timeoutMs: number): Promise<boolean> {
    const untilMs = performance.now() + timeoutMs;
    if (this.#map !== undefined && this.#client === undefined) {
      if (!(await whenReady(this.#map.cluster, timeoutMs))) return false;
      this.#follow();
    }
    const left = untilMs - performance.now();
    if (this.#client === undefined) return false;
    return await whenReady(this.#client, Math.max(0, left));
  }

  /** @throws the client's own error; the read may be repeated */
  async read(command: string, ...args: (string | number)[]): Promise<unknown> {
    if (this.#client === undefined) throw new Error('Connection is closed.');
    try {
      return await this.#client.callBuffer(command, ...args);
    } catch (error) {
      // Nobody waits for the next look at the map when the server itself says that the slot is elsewhere.
      if (this.#map !== undefined && !this.#closed) await this.#map.refresh();
      throw error;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#map?.cluster.off('refresh', this.#follow);
    this.#map?.release();
    if (this.#client !== undefined) disconnect(this.#client);
  }

  readonly #follow = (): void => {
    const address = this.#map?.cluster.addressOf(this.#key);
    if (this.#closed || address === undefined || address === this.#address) return;
    this.#address = address;
    if (this.#client !== undefined) disconnect(this.#client);
    this.#client = nodeClient(this.#target, address, this.#blockMsMax);
  };
}

/** Where the slots of a cluster are: one look for all readers of this process. */
class SharedMap {
  static readonly #open = new Map<string, SharedMap>();
  readonly cluster: ShardCluster;
  readonly #name: string;
  #users = 0;

  private constructor(name: string, target: RedisTarget) {
    this.#name = name;
    const client = openClient(target, {
      protocol: 2,
      connectTimeout: 2000,
      commandTimeout: 2000,
      socketTimeout: SILENT_MS_MAX,
      maxRetriesPerRequest: 0,
    });
    if (!(client instanceof ShardCluster)) throw new TypeError('only a cluster has a map of slots');
    this.cluster = client;
  }

  static of(target: RedisTarget): SharedMap {
    const name = JSON.stringify([target.clusterNodes, target.password, target.tls]);
    const map = SharedMap.#open.get(name) ?? new SharedMap(name, target);
    SharedMap.#open.set(name, map);
    map.#users += 1;
    return map;
  }

  async refresh(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 100);
      this.cluster.refreshSlotsCache(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    SharedMap.#open.delete(this.#name);
    disconnect(this.cluster);
  }
}
