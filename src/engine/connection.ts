import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { ShardCluster } from './shard-cluster.ts';

interface Node {
  readonly host: string;
  readonly port: number;
}

/** Where the queue's Redis is. */
export interface RedisTarget {
  /** `redis://` or `rediss://` address; not used when there are cluster nodes or sentinels. */
  readonly url: string;
  /** Database number; default = the one in `url`, else 0. A cluster has only 0. */
  readonly db?: number;
  readonly password?: string;
  /** Some nodes of a cluster; the others are learnt from them. */
  readonly clusterNodes?: readonly Node[];
  readonly sentinels?: readonly Node[];
  /** Name of the master as the sentinels know it. */
  readonly sentinelName?: string;
  /** Are nodes and sentinels' masters spoken to by TLS. For `url`, the address says it. */
  readonly tls?: boolean;
}

export type RedisClient = Redis | Cluster;

// `replyMapping` concerns RESP3 only, and its type refuses `undefined`.
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

const RECONNECT_MS_MAX = 1000;
/**
 * A connection that brings nothing for so long although something was asked is dead, and opened anew: a server that lost
 * its power or a path that forgot it closes none, and TCP takes minutes to give it up. Where a command may take longer,
 * by its own limit or because it blocks, its connection may be silent for longer.
 */
export const SILENT_MS_MAX = 5000;
/** How soon a client learns of a new master when nobody tells it: a stopped one closes no connection. */
const SLOTS_REFRESH_MS = 500;

const shared = {
  // RESP2: replies of raw commands keep the shapes that the scripts and decoders were written for.
  protocol: 2,
  retryStrategy: (times: number) => Math.min(20 * times, RECONNECT_MS_MAX),
  connectTimeout: 2000,
} as const satisfies ClientOptions;

/**
 * A connection for commands. Never repeats a command by itself: a lost reply rejects, because the command may have run
 * (measured: the client's defaults executed 22 of 22 such commands twice).
 */
export function commandClient(target: RedisTarget, commandTimeoutMs: number): RedisClient {
  return connect(target, {
    ...shared,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    commandTimeout: commandTimeoutMs,
    socketTimeout: Math.max(commandTimeoutMs, SILENT_MS_MAX),
  });
}

/**
 * A connection for blocking reads of one server: no command timeout; its reads lose nothing when they are repeated.
 * For a shard, which may lie in a cluster: `ShardReader`.
 *
 * @param blockMsMax longest time for which the server is asked to wait before it answers
 */
export function blockingClient(target: RedisTarget, blockMsMax: number): Redis {
  const client = openSingle(target, blocking(blockMsMax));
  quiet(client);
  return client;
}

/** A connection to one node of a cluster, for blocking reads. @param blockMsMax as for `blockingClient()` */
export function nodeClient(target: RedisTarget, address: string, blockMsMax: number): Redis {
  const colon = address.lastIndexOf(':');
  const client = new Redis({
    ...blocking(blockMsMax),
    ...secrets(target),
    host: address.slice(0, colon),
    port: Number(address.slice(colon + 1)),
  });
  quiet(client);
  return client;
}

/** A connection with options of the caller's own; errors are the failed commands' affair. */
export function openClient(target: RedisTarget, options: ClientOptions): RedisClient {
  return connect(target, options);
}

export function isCluster(target: RedisTarget): boolean {
  return target.clusterNodes !== undefined && target.clusterNodes.length > 0;
}

/** The servers that take writes: all masters of a cluster, or the one. */
export function mastersOf(client: RedisClient): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

/** The connection over which a command without a key reaches the server that has this key. */
export function connectionOf(client: RedisClient, key: string): Redis {
  if (!(client instanceof Cluster)) return client;
  const node = client instanceof ShardCluster ? client.nodeOf(key) : undefined;
  if (node === undefined) throw new Error('Connection is closed.');
  return node;
}

function blocking(blockMsMax: number): ClientOptions {
  return { ...shared, maxRetriesPerRequest: 0, enableOfflineQueue: false, socketTimeout: blockMsMax + SILENT_MS_MAX };
}

function connect(target: RedisTarget, options: ClientOptions): RedisClient {
  const client = isCluster(target) ? openCluster(target, options) : openSingle(target, options);
  quiet(client);
  return client;
}

function quiet(client: RedisClient): void {
  // Every failed command rejects with its own error; without a listener the client would print each one again.
  client.on('error', () => undefined);
  // Every call that waits for the connection to come back listens for it. Not 0, to which BullMQ adds its own few.
  client.setMaxListeners(Infinity);
}

function openCluster(target: RedisTarget, options: ClientOptions): ShardCluster {
  // A cluster's nodes have their own way to come back, and keep commands only until they are connected.
  const { enableOfflineQueue = true, ...nodeOptions } = options;
  delete nodeOptions.retryStrategy;
  return new ShardCluster(
    (target.clusterNodes ?? []).map((node) => ({ ...node })),
    {
      redisOptions: { ...nodeOptions, ...secrets(target) },
      enableOfflineQueue,
      slotsRefreshInterval: SLOTS_REFRESH_MS,
      // A node that stands still does not keep us from asking the next one.
      slotsRefreshTimeout: 700,
      // The same words stand for "was never sent" and for "its reply was lost".
      retryDelayOnFailover: 0,
      clusterRetryStrategy: (times) => Math.min(50 * times, RECONNECT_MS_MAX),
      // Certificates are made for names, so names are kept.
      ...(target.tls === true ? { dnsLookup: (address, callback) => callback(null, address) } : {}),
    },
  );
}

function openSingle(target: RedisTarget, options: ClientOptions): Redis {
  const db = target.db === undefined ? {} : { db: target.db };
  if (target.sentinels === undefined || target.sentinels.length === 0) {
    return new Redis(target.url, {
      ...options,
      ...(target.password === undefined ? {} : { password: target.password }),
      ...db,
    });
  }
  return new Redis({
    ...options,
    ...secrets(target),
    ...db,
    sentinels: target.sentinels.map((node) => ({ ...node })),
    name: target.sentinelName ?? 'mymaster',
    ...(target.tls === true ? { enableTLSForSentinelMode: true } : {}),
    sentinelRetryStrategy: (times) => Math.min(50 * times, RECONNECT_MS_MAX),
    // A master that stands still closes no connection; the sentinels tell of the new one.
    failoverDetector: true,
    // A master that was degraded while we were connected refuses writes until we go to the new one.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  });
}

function secrets(target: RedisTarget): ClientOptions {
  return {
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls === true ? { tls: {} } : {}),
  };
}

/** Resolves true when the client can take commands, false when it could not within `timeoutMs`. */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<boolean> {
  const untilMs = performance.now() + timeoutMs;
  if (client.status !== 'ready' && !(await becomesReady(client, timeoutMs))) return false;
  if (!(client instanceof ShardCluster)) return true;
  // The first commands must find their connections; later ones are repeated by who sends them.
  await Promise.race([
    client.warm(),
    new Promise((resolve) => setTimeout(resolve, untilMs - performance.now()).unref()),
  ]);
  return true;
}

async function becomesReady(client: RedisClient, timeoutMs: number): Promise<boolean> {
  return await new Promise<boolean>((resolve) => {
    const finish = (ready: boolean) => {
      clearTimeout(timer);
      client.off('ready', onReady);
      client.off('end', onEnd);
      resolve(ready);
    };
    const onReady = () => finish(true);
    const onEnd = () => finish(false);
    const timer = setTimeout(() => finish(client.status === 'ready'), timeoutMs);
    client.once('ready', onReady);
    client.once('end', onEnd);
  });
}

/** Closes without waiting for a server that is gone. */
export function disconnect(client: RedisClient): void {
  client.disconnect();
}
