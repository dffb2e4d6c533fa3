/*
 * What the idempotency keys of a shard's day take in Redis' memory, by how they are kept and how many they are, and how
 * long a hash of a million holds Redis up when it goes, for docs/decisions/0042: `npm run bench:keys`.
 */
import { KEY_WAYS, keepKeys, type KeyWay } from './key-ways.ts';
import { writeReport } from './many/report.ts';
import { type BenchRedis, info, startBenchRedis, usedBytes } from './redis.ts';

const COUNTS = [10_000, 83_000, 1_000_000];
const DAY = '{wx:0}i:20000';

async function bytesPerKey(redis: BenchRedis, way: KeyWay, count: number): Promise<number> {
  await redis.clear();
  const before = await usedBytes(redis.admin);
  await keepKeys(redis, way, count);
  return Math.round(((await usedBytes(redis.admin)) - before) / count);
}

/** How long Redis works on this command, by its own statistics. */
async function goneMs(redis: BenchRedis, command: 'del' | 'unlink'): Promise<number> {
  await redis.clear();
  await keepKeys(redis, 'one hash a day', 1_000_000);
  await redis.admin.config('RESETSTAT');
  await redis.admin[command](DAY);
  const told = (await info(redis.admin, 'commandstats')).get(`cmdstat_${command}`) ?? '';
  return Number(/usec=(\d+)/.exec(told)?.[1] ?? Number.NaN) / 1000;
}

const redis = await startBenchRedis('off');
try {
  const bytes: Record<string, Record<string, number>> = {};
  for (const way of Object.keys(KEY_WAYS) as KeyWay[]) {
    const ofWay: Record<string, number> = {};
    for (const count of COUNTS) ofWay[count] = await bytesPerKey(redis, way, count);
    bytes[way] = ofWay;
    const cells = COUNTS.map((count) => `${count.toLocaleString('en-US')}: ${ofWay[count] ?? Number.NaN} bytes`);
    console.log(`${way.padEnd(18)} ${cells.join('   ')}`);
  }
  const goneAfterMs = { del: await goneMs(redis, 'del'), unlink: await goneMs(redis, 'unlink') };
  console.log(`a hash of a million goes: deleted ${goneAfterMs.del} ms, unlinked ${goneAfterMs.unlink} ms`);
  writeReport('keys', { command: 'npm run bench:keys', redis: redis.version, bytesPerKey: bytes, goneAfterMs });
} finally {
  await redis.stop();
}
