import type { RedisClient } from '../engine/connection.ts';
import { shardPrefix } from '../engine/keys.ts';
import { AppError } from '../errors/app-error.ts';
import { bytesInWords } from '../util/disk-space.ts';
import type { Finding } from './doctor.ts';
import { fullDisk, type QueueDisk } from './sources/queue-disk.ts';

/** What the doctor asks of the servers beside the send queue. Each may reject: then that is the finding. */
export interface ServiceChecks {
  readonly client: RedisClient;
  readonly shards: number;
  /** Names of migrations that the database has not seen. */
  readonly pendingMigrations: () => Promise<readonly string[]>;
  readonly jobQueues: () => Promise<readonly JobQueue[]>;
  /** Failure rows that wait for a slow retry, counted up to 10,000. */
  readonly pendingFailures: () => Promise<number>;
  /** Absent: the cache shares the queue's Redis server. */
  readonly pingCache?: (() => Promise<void>) | undefined;
  /** Absent: the queue's Redis is another program's, whose disk is not ours to see. */
  readonly queueDisk?: Pick<QueueDisk, 'space'> | undefined;
}

export interface JobQueue {
  readonly queue: string;
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
  readonly delayed: number;
  readonly paused: boolean;
  /** Null where Redis does not tell. */
  readonly workers: number | null;
}

/** A recorder that keeps up is behind by milliseconds. */
const LAG_REMARK_MS = 5000;
const LAG_FINDING_MS = 60_000;
const PENDING_COUNTED_MAX = 10_000;

/** Looks at PostgreSQL, the recorder, the job queues and the cache. */
export async function diagnoseServices(checks: ServiceChecks): Promise<Finding[]> {
  const parts = await Promise.all([
    found('PostgreSQL', () => schema(checks)),
    found('recorder', () => lags(checks)),
    found('slow retries', () => retries(checks)),
    found('job queues', () => jobs(checks)),
    found('cache', () => cache(checks)),
    found('queue disk', () => disk(checks)),
  ]);
  return parts.flat();
}

/** A server that cannot be asked is a finding, not the end of the examination. */
async function found(about: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    const why = error instanceof AppError ? error.detail : error instanceof Error ? error.message : String(error);
    return [{ severity: 'finding', about, detail: `It cannot be asked: ${why}` }];
  }
}

async function schema({ pendingMigrations }: ServiceChecks): Promise<Finding[]> {
  const pending = await pendingMigrations();
  if (pending.length === 0)
    return [{ severity: 'remark', about: 'PostgreSQL', detail: 'reachable, its schema is up to date' }];
  const names = pending.join(', ');
  return [
    {
      severity: 'finding',
      about: 'PostgreSQL',
      detail: `${pending.length} migrations are pending (${names}): run waxwing migrate`,
    },
  ];
}

async function lags({ client, shards }: ServiceChecks): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    const key = `${shardPrefix(shard)}ev`;
    const [first, time] = await Promise.all([client.xrange(key, '-', '+', 'COUNT', 1), client.time()]);
    const id = first[0]?.[0];
    if (id === undefined) continue;
    const lagMs = Math.max(0, Number(time[0]) * 1000 + Number(time[1]) / 1000 - Number(id.split('-')[0]));
    const detail = `the oldest event that is not recorded is ${Math.round(lagMs / 1000)} s old`;
    if (lagMs > LAG_FINDING_MS) {
      findings.push({
        severity: 'finding',
        about: `shard ${shard}, recorder`,
        detail: `${detail}: is a worker running, and is PostgreSQL reachable?`,
      });
    } else if (lagMs > LAG_REMARK_MS) {
      findings.push({ severity: 'remark', about: `shard ${shard}, recorder`, detail });
    }
  }
  return findings.length > 0 ? findings : [{ severity: 'remark', about: 'recorder', detail: 'keeps up' }];
}

/** Every message that waits for a slow retry has its row; rows may be ahead for what a status reported a moment ago. */
async function retries({ client, shards, pendingFailures }: ServiceChecks): Promise<Finding[]> {
  let deferred = 0;
  let kept = 0;
  for (let shard = 0; shard < shards; shard += 1) {
    deferred += Number((await client.hget(`${shardPrefix(shard)}n`, 'deferred')) ?? 0);
    kept += await client.xlen(`${shardPrefix(shard)}ev`);
  }
  const rows = await pendingFailures();
  const detail = `the engine holds ${deferred}, the failure record has ${rows >= PENDING_COUNTED_MAX ? `${rows} or more` : rows} pending`;
  const isMissing = kept === 0 && rows < deferred && rows < PENDING_COUNTED_MAX;
  const hint = isMissing ? '; a worker puts that right within WHATSAPP_RETRY_INTERVAL_MS' : '';
  return [{ severity: isMissing ? 'finding' : 'remark', about: 'slow retries', detail: detail + hint }];
}

async function jobs({ jobQueues }: ServiceChecks): Promise<Finding[]> {
  return (await jobQueues()).map(({ queue, waiting, active, failed, delayed, paused, workers }) => {
    const about = `job queue ${queue}`;
    const figures = `${waiting} waiting, ${active} active, ${delayed} delayed, ${failed} failed`;
    if (workers === 0 && active > 0) {
      return {
        severity: 'finding',
        about,
        detail: `${figures}: what is active has stalled, because no worker is there`,
      };
    }
    if (workers === 0 && waiting > 0)
      return { severity: 'finding', about, detail: `${figures}, and no worker is there` };
    return { severity: 'remark', about, detail: paused ? `${figures}, paused` : figures };
  });
}

async function disk({ queueDisk }: ServiceChecks): Promise<Finding[]> {
  const space = await queueDisk?.space();
  if (space === null || space === undefined) return [];
  const about = 'queue disk';
  const full = fullDisk(space);
  if (full !== undefined) return [{ severity: 'finding', about, detail: full }];
  const { freeBytes, sizeBytes } = space;
  return [{ severity: 'remark', about, detail: `${bytesInWords(freeBytes)} of ${bytesInWords(sizeBytes)} are free` }];
}

async function cache({ pingCache }: ServiceChecks): Promise<Finding[]> {
  if (pingCache === undefined) return [{ severity: 'remark', about: 'cache', detail: "on the queue's Redis server" }];
  await pingCache();
  return [{ severity: 'remark', about: 'cache', detail: 'its Redis is reachable' }];
}
