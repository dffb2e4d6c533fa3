/*
 * Prints the figures of the caches beside those that were asked for: `npm run bench:cache`. On Redis of its own.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { Caches, TemplateMetrics, TieredCache } from '../src/cache/index.ts';
import { findRedis } from '../src/embedded/redis-binary.ts';
import { startRedis } from '../src/embedded/redis-server.ts';

const KEY_COUNT = 1000;
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const at = (values: number[], share: number): number =>
  values.sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;

/** Median over rounds of the time of one call, ns. */
function timed(rounds: number, calls: number, call: (n: number) => void): number {
  const each: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const startMs = performance.now();
    for (let n = 0; n < calls; n += 1) call(n);
    each.push(((performance.now() - startMs) * 1e6) / calls);
  }
  return median(each);
}

async function timedAsync(rounds: number, calls: number, call: (n: number) => Promise<unknown>): Promise<number> {
  const each: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const startMs = performance.now();
    for (let n = 0; n < calls; n += 1) await call(n);
    each.push(((performance.now() - startMs) * 1e6) / calls);
  }
  return median(each);
}

const rows: [string, string, string, boolean][] = [];
const figure = (what: string, wanted: string, reached: string, isMet: boolean) =>
  rows.push([what, wanted, reached, isMet]);

function recording(): void {
  const heapBefore = process.memoryUsage();
  const tiers = new TieredCache({ redisUrl: null, bytesMax: 1_048_576 });
  const metrics = new TemplateMetrics({ caches: new Caches({ tiers, spikeThreshold: 0.5 }) });
  const keys = Array.from({ length: KEY_COUNT }, (_, n) => `template_${n}`);
  const detail = { source: 'memory', friendlyName: 'Booking confirmed' } as const;
  const hitNs = timed(100, 100_000, (n) => {
    metrics.recordCacheHit(keys[n % KEY_COUNT] ?? '', 'signature', 'HX0123456789', detail);
  });
  figure('recordCacheHit, median', '≤ 1 µs', `${(hitNs / 1000).toFixed(2)} µs`, hitNs <= 1000);
  globalThis.gc?.();
  const now = process.memoryUsage();
  const bytes = now.heapUsed + now.arrayBuffers - heapBefore.heapUsed - heapBefore.arrayBuffers;
  figure('memory, 1,000 keys, 10 M events', '≤ 2 MB', `${(bytes / 1e6).toFixed(2)} MB`, bytes <= 2e6);
  const reportMs = timed(21, 20, () => metrics.getCacheReport()) / 1e6;
  const { hits } = metrics.getCacheReport().runtime.cumulative;
  figure(`getCacheReport, ${hits / 1e6} M events`, '≤ 1 ms', `${reportMs.toFixed(2)} ms`, reportMs <= 1);
}

async function hits(url: string): Promise<void> {
  const value = { id: 's1', name: 'Salon Ada', weights: [1, 2, 3], address: 'x'.repeat(200) };
  const tiers = new TieredCache({ redisUrl: url, bytesMax: 64 * 1024 * 1024 });
  await tiers.start(3000);
  await tiers.set('salon:s1', value, { ttlSeconds: 600 });
  const lru = new LRUCache<string, object>({ max: 1000, ttl: 600_000, fetchMethod: () => Promise.resolve(value) });
  lru.set('salon:s1', value);
  const policy = { ttlSeconds: 600 };
  const load = () => Promise.resolve(value);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < 51; round += 1) {
    ours.push(await timedAsync(1, 10_000, () => tiers.getOrLoad('salon:s1', policy, load)));
    theirs.push(await timedAsync(1, 10_000, () => lru.fetch('salon:s1')));
  }
  const memory = median(ours) / median(theirs);
  figure(
    'memory hit, beside lru-cache fetch()',
    '≤ 1.2×',
    `${memory.toFixed(2)}× (${median(ours).toFixed(0)} ns)`,
    memory <= 1.2,
  );

  const plain = new Redis(url);
  const text = JSON.stringify(value);
  await plain.set('plain', text);
  const redisOurs: number[] = [];
  const redisTheirs: number[] = [];
  const reader = new TieredCache({ redisUrl: url, bytesMax: 64 * 1024 * 1024, memoryBytesMax: 8 });
  await reader.start(3000);
  for (let round = 0; round < 101; round += 1) {
    redisOurs.push(await timedAsync(1, 200, () => reader.get('salon:s1')));
    redisTheirs.push(await timedAsync(1, 200, async () => JSON.parse((await plain.get('plain')) ?? '') as unknown));
  }
  const ratio = median(redisOurs) / median(redisTheirs);
  const shown = `${ratio.toFixed(2)}× (${(median(redisOurs) / 1000).toFixed(0)} µs)`;
  figure('Redis hit, beside ioredis get() and JSON.parse', '≤ 1.2×', shown, ratio <= 1.2);
  reader.stop();
  tiers.stop();
  plain.disconnect();
}

/** 200 callers in four processes ask for a key that nobody has. */
async function stampede(url: string): Promise<void> {
  const children: ChildProcess[] = [];
  const say = (child: ChildProcess, what: string) =>
    new Promise<number>((resolve) => {
      child.once('message', (answer) => resolve(Number(answer)));
      if (what !== '') child.send(what);
    });
  for (let n = 0; n < 4; n += 1) {
    children.push(fork(fileURLToPath(import.meta.url), ['--caller', url], { execArgv: process.execArgv }));
  }
  await Promise.all(children.map((child) => say(child, '')));
  const computed = await Promise.all(children.map((child) => say(child, 'go')));
  for (const child of children) child.kill();
  const total = computed.reduce((sum, one) => sum + one, 0);
  figure('200 callers in 4 processes miss one key', '1 computation', `${total}`, total === 1);
}

async function caller(url: string): Promise<void> {
  const tiers = new TieredCache({ redisUrl: url, bytesMax: 8 * 1024 * 1024 });
  await tiers.start(3000);
  process.on('message', () => {
    let computed = 0;
    const load = async () => {
      computed += 1;
      await delay(100);
      return 'value';
    };
    const asked = Array.from({ length: 50 }, () => tiers.getOrLoad('stampede', { ttlSeconds: 60 }, load));
    void Promise.all(asked).then(() => process.send?.(computed));
  });
  process.send?.(0);
}

async function away(url: string, stop: () => Promise<void>): Promise<void> {
  const tiers = new TieredCache({ redisUrl: url, bytesMax: 8 * 1024 * 1024 });
  await tiers.start(3000);
  const source = async (): Promise<number> => {
    await delay(5);
    return 1;
  };
  const uncached: number[] = [];
  const cached: number[] = [];
  let errors = 0;
  const one = async (into: number[], ask: () => Promise<unknown>) => {
    const startMs = performance.now();
    await ask().catch(() => (errors += 1));
    into.push(performance.now() - startMs);
  };
  await stop();
  for (let n = 0; n < 1000; n += 1) {
    await one(uncached, source);
    await one(cached, () => tiers.getOrLoad(`k${n}`, { ttlSeconds: 60 }, source));
  }
  const ratio = at(cached, 0.99) / at(uncached, 0.99);
  figure(
    'Redis stopped: p99 beside uncached',
    '≤ 2×',
    `${ratio.toFixed(2)}×, ${errors} errors`,
    ratio <= 2 && errors === 0,
  );
  tiers.stop();
}

if (process.argv[2] === '--caller') {
  await caller(process.argv[3] ?? '');
} else {
  const folder = mkdtempSync(join(tmpdir(), 'waxwing-bench-cache-'));
  const server = await startRedis({
    folder,
    binary: await findRedis(),
    settings: { appendonly: 'no' },
    isSupervised: false,
  });
  try {
    recording();
    await hits(server.url);
    await stampede(server.url);
    await away(server.url, () => server.stop());
  } finally {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  for (const [what, wanted, reached, isMet] of rows) {
    console.log(`${isMet ? '✓' : '✗'} ${what.padEnd(50)} ${wanted.padEnd(15)} ${reached}`);
  }
  process.exitCode = rows.every(([, , , isMet]) => isMet) ? 0 : 1;
}
