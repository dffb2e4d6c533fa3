import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Caches } from '../../src/cache/cache.ts';
import { CacheMetrics, type Condition } from '../../src/cache/metrics.ts';
import { TemplateMetrics } from '../../src/cache/report.ts';
import { TieredCache } from '../../src/cache/tiered-cache.ts';

function harness(options: Partial<ConstructorParameters<typeof CacheMetrics>[0]> = {}) {
  let nowMs = 1_800_000_000_000;
  const told: [string, string | null, boolean][] = [];
  const conditions: Condition[] = [];
  const metrics = new CacheMetrics({
    cache: 'c',
    spikeThreshold: 0.5,
    now: () => nowMs,
    onCondition: (condition, isOn) => {
      told.push([condition.kind, condition.key, isOn]);
      conditions.push(condition);
    },
    ...options,
  });
  const many = (count: number, act: () => void) => {
    for (let n = 0; n < count; n += 1) act();
  };
  return { metrics, many, told, conditions, pass: (ms: number) => (nowMs += ms) };
}

function templates(now?: () => number) {
  const tiers = new TieredCache({ redisUrl: null, bytesMax: 1_048_576 });
  return new TemplateMetrics({ caches: new Caches({ tiers, spikeThreshold: 0.5, ...(now && { now }) }) });
}

/** What is in use once the garbage is gone: the heap, and what typed arrays hold outside of it. */
function memoryBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('T3 · figures', () => {
  it('cumulative, by window of five minutes and by key', () => {
    const { metrics, many, pass } = harness();
    many(8, () => metrics.hit('a'));
    many(2, () => metrics.miss('b'));
    pass(299_000);
    metrics.creation('b');
    metrics.hit('a');
    expect(metrics.cumulative()).toEqual({ hits: 9, misses: 2, creations: 1, hitRate: 9 / 11, missRate: 2 / 11 });
    pass(11_000);
    expect(metrics.window()).toEqual({ hits: 1, misses: 0, creations: 1, hitRate: 1, missRate: 0 });
    expect(metrics.window('b')).toMatchObject({ hits: 0, misses: 0, creations: 1 });
    expect(metrics.byKey()).toMatchObject({ a: { hits: 9, hitRate: 1 }, b: { misses: 2, creations: 1, missRate: 1 } });
    pass(3_600_000);
    expect(metrics.window()).toMatchObject({ hits: 0, misses: 0, creations: 0, hitRate: 0, missRate: 0 });
    expect(metrics.cumulative().hits).toBe(9);
  });

  it('the window slides bucket by bucket and counts nothing twice, over hours and clock steps', () => {
    const { metrics, pass } = harness();
    for (let step = 0; step < 2000; step += 1) {
      metrics.hit('a');
      pass(10_000);
    }
    expect(metrics.window().hits).toBe(29);
    pass(-3_600_000);
    metrics.hit('a');
    expect(metrics.window().hits).toBe(30);
    expect(metrics.cumulative().hits).toBe(2001);
  });
});

describe('T4 · spikes', () => {
  it('a miss rate of the window above the threshold is told once, with its figures, and once when it ends', () => {
    const { metrics, many, told, conditions, pass } = harness();
    many(10, () => metrics.hit('a'));
    many(10, () => metrics.miss('a'));
    expect(told).toEqual([]);
    metrics.miss('a');
    expect(told).toEqual([
      ['cache-miss-spike', null, true],
      ['cache-miss-spike', 'a', true],
    ]);
    expect(conditions[0]).toMatchObject({ threshold: 0.5, figures: { hits: 10, misses: 11 } });
    metrics.miss('a');
    expect(told).toHaveLength(2);
    expect(metrics.conditions().map(({ key }) => key)).toEqual([null, 'a']);
    pass(310_000);
    expect(metrics.conditions()).toEqual([]);
    expect(told).toHaveLength(4);
  });

  it('little traffic is no spike', () => {
    const { metrics, many, told } = harness();
    many(19, () => metrics.miss('a'));
    expect(told).toEqual([]);
    expect(metrics.isMissRateAboveThreshold).toBe(false);
    metrics.miss('a');
    expect(metrics.isMissRateAboveThreshold).toBe(true);
  });

  it('a key may have a threshold of its own', () => {
    const { metrics, many, told } = harness({ spikeThresholdOf: { quiet: 0.1, loud: 0.99 } });
    many(170, () => metrics.hit('quiet'));
    many(30, () => metrics.miss('quiet'));
    many(5, () => metrics.hit('loud'));
    many(50, () => metrics.miss('loud'));
    expect(told).toEqual([['cache-miss-spike', 'quiet', true]]);
  });

  it('a cumulative hit rate below 0.8 is a condition, once enough was asked', () => {
    const { metrics, many, told } = harness();
    many(70, () => metrics.hit('a'));
    many(29, () => metrics.miss('a'));
    expect(metrics.conditions()).toEqual([]);
    metrics.miss('a');
    expect(metrics.conditions()).toMatchObject([{ kind: 'cache-low-hit-rate', threshold: 0.8, figures: { hits: 70 } }]);
    many(51, () => metrics.hit('a'));
    expect(metrics.conditions()).toEqual([]);
    expect(told).toEqual([
      ['cache-low-hit-rate', null, true],
      ['cache-low-hit-rate', null, false],
    ]);
  });
});

describe('T8 · odd input', () => {
  it('nothing recorded', () => {
    const report = templates().getCacheReport();
    const none = { hits: 0, misses: 0, creations: 0, hitRate: 0, missRate: 0 };
    expect(report.runtime).toEqual({ cumulative: none, window: { metrics: none }, byKey: {} });
    expect(report).toMatchObject({ database: null, health: { missRateAboveThreshold: false } });
  });

  it.each([
    ['recordCacheHit', { hits: 3, hitRate: 1, missRate: 0 }],
    ['recordCacheMiss', { misses: 3, hitRate: 0, missRate: 1 }],
    ['recordCacheCreation', { creations: 3, hitRate: 0, missRate: 0 }],
  ] as const)('only %s', (name, figures) => {
    const metrics = templates();
    for (let n = 0; n < 3; n += 1) metrics[name]('k', 's', 'HX1');
    expect(metrics.getCacheReport().runtime.cumulative).toMatchObject(figures);
  });

  it.each(['', ' ', '__proto__', 'constructor', 'toString', 'other', 'a:b|c\n\u0000', '😀ü漢', '{"a":1}', "'; drop"])(
    'the key %j is a key like any other',
    (key) => {
      const metrics = templates();
      metrics.recordCacheHit(key, 'sig', 'HX1', { source: 'database', friendlyName: 'n' });
      metrics.recordCacheHit('more');
      expect(Object.entries(metrics.getCacheReport().runtime.byKey).find(([name]) => name === key)?.[1].hits).toBe(1);
    },
  );

  it('very long keys are told apart and kept short', () => {
    const metrics = templates();
    const long = 'x'.repeat(1_000_000);
    metrics.recordCacheHit(`${long}a`, long, long, { friendlyName: long });
    metrics.recordCacheHit(`${long}b`);
    metrics.recordCacheHit(`${long}b`);
    const rows = Object.entries(metrics.getCacheReport().runtime.byKey);
    expect(rows.map(([, { hits }]) => hits).sort()).toEqual([1, 2]);
    for (const [name] of rows) expect(name.length).toBeLessThan(250);
    expect(metrics.lastEvent(`${long}a`)?.sid?.length).toBeLessThanOrEqual(200);
  });

  it('20,000 rapid events of 5,000 keys: all counted, 1,000 rows and the rest together', () => {
    const metrics = templates();
    for (let n = 0; n < 20_000; n += 1) metrics.recordCacheHit(`k${n % 5000}`);
    const { cumulative, byKey } = metrics.getCacheReport().runtime;
    expect(cumulative.hits).toBe(20_000);
    expect(Object.keys(byKey)).toHaveLength(1001);
    expect(Object.values(byKey).reduce((sum, { hits }) => sum + hits, 0)).toBe(20_000);
    expect(byKey['other']?.hits).toBe(16_000);
  });

  it('T2 · metadata is intact on each kind of event', () => {
    let nowMs = 5_000_000;
    const metrics = templates(() => nowMs);
    metrics.recordCacheMiss('k', 'sig1');
    expect(metrics.lastEvent('k')).toMatchObject({ kind: 1, dataSignature: 'sig1', sid: null, source: null });
    nowMs += 1;
    metrics.recordCacheCreation('k', 'sig1', 'HX1');
    expect(metrics.lastEvent('k')).toMatchObject({ kind: 2, sid: 'HX1', source: 'provider', atMs: 5_000_001 });
    for (const source of ['memory', 'environment', 'database'] as const) {
      metrics.recordCacheHit('k', 'sig2', 'HX2', { source, friendlyName: 'Booking confirmed' });
      expect(metrics.lastEvent('k')).toEqual({
        kind: 0,
        atMs: 5_000_001,
        dataSignature: 'sig2',
        sid: 'HX2',
        source,
        friendlyName: 'Booking confirmed',
      });
    }
  });
});

describe('T8 · bad input', () => {
  it.each([5, 7n, true, null, undefined, Symbol('x'), {}, [], () => 1, Object.create(null)])(
    '%o in any place is counted and never thrown at',
    (value) => {
      const metrics = templates();
      const given = value as never;
      metrics.recordCacheHit('k', given, 'HX1');
      metrics.recordCacheHit('k', 's', given, given);
      metrics.recordCacheHit('k', 's', 'HX1', { source: given, friendlyName: given });
      metrics.recordCacheMiss('k', given);
      metrics.recordCacheCreation('k', given, given);
      expect(metrics.getCacheReport().runtime.byKey['k']).toMatchObject({ hits: 3, misses: 1, creations: 1 });
      metrics.recordCacheHit(given, given, given, given);
      expect(metrics.getCacheReport().runtime.cumulative.hits).toBe(4);
      expect(JSON.stringify(metrics.getCacheReport())).toContain('"hits":4');
    },
  );
});

describe('T7 · cost', () => {
  const keys = Array.from({ length: 1000 }, (_, n) => `k${n}`);
  const detail = { source: 'memory', friendlyName: 'Booking confirmed' } as const;

  /** The mean of a call in the faster quarter of many short rounds, µs: other work on the machine meets the slower ones. */
  function costUs(rounds: number, calls: number, call: (n: number) => void): number {
    const each = Array.from({ length: rounds }, () => {
      const startMs = performance.now();
      for (let n = 0; n < calls; n += 1) call(n);
      return ((performance.now() - startMs) * 1000) / calls;
    });
    return each.sort((a, b) => a - b)[Math.floor(rounds / 4)] ?? NaN;
  }

  it('a hit, a miss and a creation take at most 1 µs each to record, over a thousand templates', () => {
    const metrics = templates();
    const key = (n: number) => keys[n % keys.length] ?? '';
    const acts = {
      hit: (n: number) => metrics.recordCacheHit(key(n), 'signature', 'HX0123456789', detail),
      miss: (n: number) => metrics.recordCacheMiss(key(n), 'signature'),
      creation: (n: number) => metrics.recordCacheCreation(key(n), 'signature', 'HX0123456789'),
    };
    for (const [what, act] of Object.entries(acts)) expect(costUs(400, 1000, act), what).toBeLessThanOrEqual(1);
  });

  it('a report of a thousand templates takes at most 1 ms', () => {
    const metrics = templates();
    for (let n = 0; n < 50_000; n += 1) metrics.recordCacheHit(keys[n % keys.length] ?? '', 'sig', 'HX1', detail);
    expect(costUs(100, 2, () => metrics.getCacheReport())).toBeLessThanOrEqual(1000);
    expect(Object.keys(metrics.getCacheReport().runtime.byKey)).toHaveLength(1000);
  });

  it('memory does not grow with events, nor with keys beyond the thousand', () => {
    const metrics = templates();
    const record = (count: number, first: number, keysMax: number) => {
      for (let n = first; n < first + count; n += 1)
        metrics.recordCacheHit(`k${n % keysMax}`, `signature ${n}`, `HX${n}`, detail);
    };
    record(200_000, 0, 1000);
    const before = memoryBytes();
    record(300_000, 200_000, 1000);
    record(300_000, 500_000, 1_000_000);
    expect(memoryBytes() - before).toBeLessThan(200_000);
    expect(metrics.getCacheReport().runtime.cumulative.hits).toBe(800_000);
  });
});

describe('T9 · trend', () => {
  it('efficiency by key, calls saved, the most used keys', () => {
    const metrics = templates();
    for (let n = 0; n < 9; n += 1) metrics.recordCacheHit('a');
    metrics.recordCacheMiss('a');
    metrics.recordCacheCreation('a');
    metrics.recordCacheCreation('b');
    metrics.recordCacheHit('c');
    const { efficiency, metadata } = metrics.getCacheReport();
    expect(efficiency).toMatchObject({ a: 0.9, b: 0, c: 1 });
    expect(metadata.callsSaved).toBe(10);
    expect(metrics.topKeys(1)).toEqual([{ key: 'a', uses: 10, hitRate: 0.9 }]);
  });
});
