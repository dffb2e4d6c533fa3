import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { Pool } from 'undici';
import type { RedisTarget } from '../../src/engine/connection.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { freePort } from '../../src/embedded/free-port.ts';
import { type EmbeddedServices, startEmbedded } from '../../src/embedded/index.ts';
import { type RedisServer, startRedis } from '../../src/embedded/redis-server.ts';
import { senderLimits } from '../../src/messages/index.ts';
import { migrate, openRecord, type NewSender } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';

/* Real processes on real servers: Redis (one, or three masters of a cluster), PostgreSQL, provider, workers. */

export const SHARDS = 12;
const TENANTS = 120;
const CONVERSATIONS = 3000;
const SECRET = 'secret key of this bench, long enough';
const SLOTS = 16_384;

/** A process of the bench; asked and answering over its channel. */
class Child {
  readonly #process: ChildProcess;

  constructor(file: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), [...args], {
      execArgv: ['--import', 'tsx'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
  }

  async said<T>(): Promise<T> {
    const ended = once(this.#process, 'exit').then(() => Promise.reject(new Error('a process of the bench ended')));
    ended.catch(() => undefined);
    const [message] = (await Promise.race([once(this.#process, 'message'), ended])) as [T];
    return message;
  }

  async ask<T>(): Promise<T> {
    const answer = this.said<T>();
    this.#process.send('?');
    return await answer;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.disconnect();
    await ended;
  }
}

export interface Turn {
  readonly workers: number;
  readonly messages: number;
  readonly isMeasured: boolean;
}

export interface TurnResult {
  readonly perSecond: number;
  /** Of all workers together, per message. */
  readonly workerCpuMs: number;
}

export class Stage {
  readonly #folder: string;
  readonly #servers: RedisServer[];
  readonly #services: EmbeddedServices;
  readonly #provider: Child;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #target: RedisTarget;
  readonly #senders: readonly NewSender[];

  private constructor(parts: {
    readonly folder: string;
    readonly servers: RedisServer[];
    readonly services: EmbeddedServices;
    readonly provider: Child;
    readonly environment: NodeJS.ProcessEnv;
    readonly target: RedisTarget;
    readonly senders: readonly NewSender[];
  }) {
    this.#folder = parts.folder;
    this.#servers = parts.servers;
    this.#services = parts.services;
    this.#provider = parts.provider;
    this.#environment = parts.environment;
    this.#target = parts.target;
    this.#senders = parts.senders;
  }

  /** @param masters 1 = one server, more = a cluster */
  static async open(masters: number): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'waxwing-bench-many-'));
    const provider = new Child('provider.ts', []);
    const { port } = await provider.said<{ port: number }>();
    const services = await startEmbedded({ dataDir: join(folder, 'data'), redis: true, postgres: true });
    const databaseUrl = services.databaseUrl ?? '';
    const cacheUrl = services.redisUrl ?? '';
    const servers = await startServers(folder, masters);
    const nodes = servers.map((server) => ({ host: '127.0.0.1', port: server.port }));
    const target: RedisTarget =
      masters === 1 ? { url: servers[0]?.url ?? '', db: 0 } : { url: '', clusterNodes: nodes, db: 0 };
    const environment = {
      ...(masters === 1
        ? { REDIS_URL: target.url, REDIS_QUEUE_DB: '0' }
        : { REDIS_CLUSTER_NODES: nodes.map((node) => `${node.host}:${node.port}`).join(',') }),
      CACHE_REDIS_URL: cacheUrl,
      DATABASE_URL: databaseUrl,
      SHARDS: String(SHARDS),
      PORT: '0',
      WAXWING_DATA_DIR: join(folder, 'data'),
      WAXWING_API_KEY: 'platform-key-of-this-bench-long-enough',
      JWT_SECRET: 'jwt secret of this bench, that is long enough',
      WAXWING_SECRET_KEY: SECRET,
    };
    const senders = Array.from({ length: SHARDS }, (_, shard) => senderOf(shard, port));
    await migrate(databaseUrl);
    const record = openRecord({
      databaseUrl,
      tenantDefaults: { concurrency: 1000, weight: 1, backlogMax: 1_000_000 },
      secretBox: createSecretBox({ key: SECRET }),
    });
    for (const sender of senders) await record.senders.ensure(sender);
    await record.close();
    return new Stage({ folder, servers, services, provider, environment, target, senders });
  }

  /** Fills the queue, lets the workers go, and waits until everything is sent. */
  async run({ workers, messages, isMeasured }: Turn): Promise<TurnResult> {
    const queue = new RedisSendQueue({ redis: this.#target, shards: SHARDS });
    await queue.connect();
    for (const sender of this.#senders) await queue.configureSender(senderLimits(sender));
    const before = (await queue.counters()).sent;
    await queue.pauseAll();
    await Promise.all(Array.from({ length: messages }, (_, n) => accept(queue, n)));
    const args = ['worker', isMeasured ? 'measured' : 'unmeasured'];
    const children = Array.from({ length: workers }, () => new Child('program.ts', args, this.#environment));
    try {
      for (const child of children) await child.said();
      const cpuBefore = await cpuOf(children);
      const startMs = performance.now();
      await queue.resumeAll();
      while ((await queue.counters()).sent < before + messages) await delay(20);
      const seconds = (performance.now() - startMs) / 1000;
      const cpu = (await cpuOf(children)) - cpuBefore;
      return { perSecond: messages / seconds, workerCpuMs: cpu / messages };
    } finally {
      await Promise.all(children.map((child) => child.end()));
      queue.close();
    }
  }

  /** Processor time of a worker that has nothing to do, as a share of one core. */
  async idleShare(isMeasured: boolean, seconds: number): Promise<number> {
    const worker = new Child('program.ts', ['worker', isMeasured ? 'measured' : 'unmeasured'], this.#environment);
    try {
      await worker.said();
      // What runs every few seconds has been compiled by then.
      await delay(8000);
      const before = await cpuOf([worker]);
      const startMs = performance.now();
      await delay(seconds * 1000);
      return ((await cpuOf([worker])) - before) / (performance.now() - startMs);
    } finally {
      await worker.end();
    }
  }

  /** What one message leaves behind and costs, over HTTP and with its record, on one Redis server. */
  async footprint(messages: number): Promise<Footprint> {
    const queue = new RedisSendQueue({ redis: this.#target, shards: SHARDS });
    await queue.connect();
    const redis = new Redis(this.#target.url, { protocol: 2 });
    const database = new pg.Client({ connectionString: this.#services.databaseUrl });
    await database.connect();
    const web = new Child('program.ts', ['web', 'measured'], this.#environment);
    const workers: Child[] = [];
    try {
      const { url } = await web.said<{ url: string }>();
      const aof = async () => Number(/aof_current_size:(\d+)/.exec(await redis.info('persistence'))?.[1]);
      const rows = async () => {
        const sizes = await database.query<{ bytes: number }>(
          `select sum(pg_total_relation_size(oid))::float8 as bytes from pg_class
            where relkind = 'r' and relnamespace = 'public'::regnamespace`,
        );
        return sizes.rows[0]?.bytes ?? NaN;
      };
      const [aofBefore, rowsBefore, webBefore] = [await aof(), await rows(), await cpuOf([web])];
      await queue.pauseAll();
      await postAll(url, this.#environment['WAXWING_API_KEY'] ?? '', messages);
      const webCpu = (await cpuOf([web])) - webBefore;
      const aofAccepted = await aof();
      workers.push(new Child('program.ts', ['worker', 'measured'], this.#environment));
      await workers[0]?.said();
      const workerBefore = await cpuOf(workers);
      const startMs = performance.now();
      await queue.resumeAll();
      while ((await queue.counters()).sent < messages) await delay(20);
      const seconds = (performance.now() - startMs) / 1000;
      while ((await recorded(database)) < messages) await delay(100);
      const workerCpu = (await cpuOf(workers)) - workerBefore;
      const connections = Number(/connected_clients:(\d+)/.exec(await redis.info('clients'))?.[1]) - 2;
      return {
        webCpuMs: webCpu / messages,
        workerCpuMs: workerCpu / messages,
        sentPerSecond: messages / seconds,
        aofBytes: { accept: (aofAccepted - aofBefore) / messages, whole: ((await aof()) - aofBefore) / messages },
        postgresBytes: ((await rows()) - rowsBefore) / messages,
        redisConnections: { ofWebAndWorker: connections, shards: SHARDS },
      };
    } finally {
      await Promise.all([web, ...workers].map((child) => child.end()));
      await database.end();
      redis.disconnect();
      queue.close();
    }
  }

  async close(): Promise<void> {
    await this.#provider.end();
    await Promise.all(this.#servers.map((server) => server.stop()));
    await this.#services.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export interface Footprint {
  /** Accept over HTTP, ms of CPU per message. */
  readonly webCpuMs: number;
  /** Attempt, settlement and record. */
  readonly workerCpuMs: number;
  readonly sentPerSecond: number;
  /** Appended to the file, before it is rewritten. */
  readonly aofBytes: { readonly accept: number; readonly whole: number };
  /** Tables and indexes. */
  readonly postgresBytes: number;
  readonly redisConnections: { readonly ofWebAndWorker: number; readonly shards: number };
}

const CALLERS = 16;

/** As a customer's backend does: some connections, one message per request. */
async function postAll(url: string, key: string, messages: number): Promise<void> {
  const pool = new Pool(url, { connections: CALLERS });
  let next = 0;
  const caller = async () => {
    for (let n = (next += 1); n <= messages; n = next += 1) {
      const conversation = n % CONVERSATIONS;
      const body = {
        tenant: `t${conversation % TENANTS}`,
        sender: `s${conversation % SHARDS}`,
        to: `+9665${String(conversation).padStart(8, '0')}`,
        conversation: `c${conversation}`,
        type: 'text',
        text: { body: `Your appointment is confirmed for tomorrow at ten, number ${n}.` },
      };
      const headers = {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'idempotency-key': `k${n}`,
      };
      const answer = await pool.request({ method: 'POST', path: '/v1/messages', headers, body: JSON.stringify(body) });
      const text = await answer.body.text();
      if (answer.statusCode !== 202) throw new Error(`the web process answered ${answer.statusCode}: ${text}`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  await pool.close();
}

async function recorded(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ n: number }>(
    `select count(*)::int as n from messages where engine_status = 'sent'`,
  );
  return rows[0]?.n ?? 0;
}

async function cpuOf(children: readonly Child[]): Promise<number> {
  const all = await Promise.all(children.map((child) => child.ask<{ readonly cpuMs: number }>()));
  return all.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

/** Limits out of the way: what is measured is the program, not WhatsApp's pace. */
function senderOf(shard: number, port: number): NewSender {
  return {
    id: `s${shard}`,
    tenant: null,
    provider: 'cloud',
    externalId: `10000${shard}`,
    apiUrl: `http://127.0.0.1:${port}/v23.0`,
    credentials: { accessToken: 'token-of-the-bench' },
    ratePerSecond: 10_000,
    burst: 100,
    concurrency: 1000,
    pairGapMs: 0,
    pairBucketCapacity: 0,
    pairBucketRefillPerSecond: 0,
    portfolio: null,
    shard,
  };
}

async function accept(queue: RedisSendQueue, n: number): Promise<void> {
  const conversation = n % CONVERSATIONS;
  const contact = `+9665${String(conversation).padStart(8, '0')}`;
  const content = { body: `Your appointment is confirmed for tomorrow at ten, number ${n}.` };
  const result = await queue.accept({
    id: newId(),
    lane: {
      sender: `s${conversation % SHARDS}`,
      tenant: `t${conversation % TENANTS}`,
      conversation: `c${conversation}`,
    },
    contact,
    priority: 5,
    body: JSON.stringify({ to: contact, type: 'text', content, createdAtMs: Date.now() }),
    tenantLimits: { concurrency: 1000, weight: 1, backlogMax: 1_000_000 },
  });
  if (result.kind !== 'accepted') throw new Error(`the queue answered ${result.kind}`);
}

async function startServers(folder: string, masters: number): Promise<RedisServer[]> {
  const servers: RedisServer[] = [];
  for (let index = 0; index < masters; index += 1) {
    const cluster = { 'cluster-enabled': 'yes', 'cluster-port': String(await freePort()), databases: '1' };
    const settings = masters === 1 ? {} : cluster;
    servers.push(await startRedis({ folder: join(folder, `redis-${index}`), settings, isSupervised: false }));
  }
  if (masters === 1) return servers;
  const clients = servers.map(({ port }) => new Redis(port, '127.0.0.1', { protocol: 2 }));
  for (const [index, client] of clients.entries()) {
    const at = (share: number) => Math.floor((SLOTS * share) / masters);
    await client.call('CLUSTER', 'ADDSLOTSRANGE', at(index), at(index + 1) - 1);
    const [, bus] = await client.config('GET', 'cluster-port');
    if (index > 0) await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', servers[index]?.port ?? 0, bus ?? '');
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1).catch(() => undefined);
  }
  const isWhole = async (client: Redis) => {
    const info = String(await client.call('CLUSTER', 'INFO'));
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${masters}`);
  };
  for (const client of clients) while (!(await isWhole(client))) await delay(100);
  for (const client of clients) client.disconnect();
  return servers;
}
