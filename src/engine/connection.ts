import { Cluster, Redis, type RedisOptions } from 'ioredis';

/** Where the queue's Redis is. */
export interface RedisTarget {
  /** `redis://` or `rediss://` address, or the first node of a cluster. */
  readonly url: string;
  /** Database number; default = the one in `url`, else 0. */
  readonly db?: number;
  readonly password?: string;
  readonly clusterNodes?: readonly { host: string; port: number }[];
  readonly sentinels?: readonly { host: string; port: number }[];
  readonly sentinelName?: string;
}

export type RedisClient = Redis | Cluster;

// `replyMapping` concerns RESP3 only, and its type refuses `undefined`.
type ClientOptions = Omit<RedisOptions, 'replyMapping'>;

const RECONNECT_MS_MAX = 1000;

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
  });
}

/** A connection for blocking reads: no command timeout; its reads lose nothing when they are repeated. */
export function blockingClient(target: RedisTarget): RedisClient {
  return connect(target, { ...shared, maxRetriesPerRequest: 0, enableOfflineQueue: false });
}

/** A connection with options of the caller's own; errors are the failed commands' affair. */
export function openClient(target: RedisTarget, options: ClientOptions): RedisClient {
  return connect(target, options);
}

function connect(target: RedisTarget, options: ClientOptions): RedisClient {
  const client = open(target, options);
  // Every failed command rejects with its own error; without a listener the client would print each one again.
  client.on('error', () => undefined);
  // Every call that waits for the connection to come back listens for it.
  client.setMaxListeners(0);
  return client;
}

function open(target: RedisTarget, options: ClientOptions): RedisClient {
  const auth = {
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.db === undefined ? {} : { db: target.db }),
  };
  if (target.clusterNodes !== undefined && target.clusterNodes.length > 0) {
    return new Cluster(
      target.clusterNodes.map((node) => ({ ...node })),
      { redisOptions: { ...options, ...auth }, enableOfflineQueue: false, slotsRefreshInterval: 500 },
    );
  }
  if (target.sentinels !== undefined && target.sentinels.length > 0) {
    return new Redis({
      ...options,
      ...auth,
      sentinels: target.sentinels.map((node) => ({ ...node })),
      name: target.sentinelName ?? 'mymaster',
    });
  }
  return new Redis(target.url, { ...options, ...auth });
}

/** Resolves true when the client can take commands, false when it could not within `timeoutMs`. */
export async function whenReady(client: RedisClient, timeoutMs: number): Promise<boolean> {
  if (client.status === 'ready') return true;
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
