import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findRedis, type RedisBinary } from '../src/embedded/redis-binary.ts';
import { startRedis } from '../src/embedded/redis-server.ts';

/** `always`: every write is fsynced before it is answered. `off`: no append-only file. Equal for all contestants. */
export type Durability = 'always' | 'off';

export interface BenchRedis {
  readonly url: string;
  readonly version: string;
  /** For looking at the server; not used by any contestant. */
  readonly admin: Redis;
  /** Removes all data, keeps loaded scripts, and starts the server's own statistics anew. */
  clear(): Promise<void>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

let binary: Promise<RedisBinary> | undefined;

/**
 * Starts a private server for one configuration, on a free loopback port, in a temporary folder.
 * @param chosen another program than the one that the embedded default would start
 */
export async function startBenchRedis(durability: Durability, chosen?: RedisBinary): Promise<BenchRedis> {
  binary ??= findRedis();
  const found = chosen ?? (await binary);
  const folder = mkdtempSync(join(tmpdir(), 'waxwing-bench-'));
  const server = await startRedis({
    folder,
    binary: found,
    isSupervised: false,
    settings: {
      ...(durability === 'off' ? { appendonly: 'no' } : { appendonly: 'yes', appendfsync: 'always' }),
      // A rewrite in the middle of somebody's turn would be paid by that one alone.
      'auto-aof-rewrite-percentage': '0',
    },
  });
  const admin = new Redis(server.url, { protocol: 2 });
  admin.on('error', () => undefined);
  return {
    url: server.url,
    version: found.version,
    admin,
    async clear() {
      await admin.flushall();
      await admin.config('RESETSTAT');
    },
    async stop() {
      admin.disconnect();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Fields of `INFO <section>` as text. */
export async function info(client: Redis, section: string): Promise<Map<string, string>> {
  const fields = new Map<string, string>();
  for (const line of (await client.info(section)).split('\r\n')) {
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
}

export interface ServerCost {
  /** Commands that ran inside the server, those of scripts included. */
  readonly commands: number;
  /** Script calls. */
  readonly scripts: number;
  /** Microseconds in script calls. */
  readonly scriptUs: number;
  readonly aofBytes: number;
  readonly netBytes: number;
}

/** What the server did since `clear()` or the given earlier reading. */
export async function serverCost(client: Redis, since?: ServerCost): Promise<ServerCost> {
  const [stats, commandStats, persistence] = await Promise.all([
    info(client, 'stats'),
    info(client, 'commandstats'),
    info(client, 'persistence'),
  ]);
  let scripts = 0;
  let scriptUs = 0;
  let commands = 0;
  for (const [name, text] of commandStats) {
    const calls = Number(/calls=(\d+)/.exec(text)?.[1] ?? 0);
    if (/^cmdstat_(info|config|flushall|ping|hello|client)/.test(name)) continue;
    commands += calls;
    if (!/^cmdstat_(evalsha|eval|fcall)$/.test(name)) continue;
    scripts += calls;
    scriptUs += Number(/usec=(\d+)/.exec(text)?.[1] ?? 0);
  }
  const netBytes = Number(stats.get('total_net_input_bytes')) + Number(stats.get('total_net_output_bytes'));
  const now = { commands, scripts, scriptUs, aofBytes: Number(persistence.get('aof_current_size') ?? 0), netBytes };
  if (since === undefined) return now;
  return {
    commands: now.commands - since.commands,
    scripts: now.scripts - since.scripts,
    scriptUs: now.scriptUs - since.scriptUs,
    aofBytes: now.aofBytes - since.aofBytes,
    netBytes: now.netBytes - since.netBytes,
  };
}

/** Percentile of the duration of script calls since `clear()`, in ms, as the server's own histogram has it. */
export async function scriptPercentileMs(client: Redis, percentile: 'p50' | 'p99' | 'p99.9'): Promise<number> {
  const latency = await info(client, 'latencystats');
  const text = latency.get('latency_percentiles_usec_evalsha') ?? '';
  const found = new RegExp(`(?:^|,)${percentile.replace('.', '\\.')}=([\\d.]+)`).exec(text)?.[1];
  return found === undefined ? Number.NaN : Number(found) / 1000;
}

/** Bytes of data: without the buffers of connections, which come and go. */
export async function usedBytes(client: Redis): Promise<number> {
  const memory = await info(client, 'memory');
  const of = (name: string): number => Number(memory.get(name) ?? 0);
  return of('used_memory') - of('mem_clients_normal') - of('mem_aof_buffer') - of('used_memory_scripts');
}
