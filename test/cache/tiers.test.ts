import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { INDEX, SIZES, STATE } from '../../src/cache/keys.ts';
import { AppError } from '../../src/errors/app-error.ts';
import { LinkProxy } from '../support/link-proxy.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';
import { watchStandstill } from '../support/standstill.ts';
import { cacheServer, openCache, TTLS } from './support/open-cache.ts';

const { server, redis } = await cacheServer();

const policy = { ttlSeconds: 60, staleSeconds: 600 };
const away = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));

/** A source that counts how often it is asked. */
function source(value: unknown) {
  const state = { value, asked: 0, load: () => (state.asked++, Promise.resolve(state.value)) };
  return state;
}

/** A way to a server that can be broken. Ended with the test. */
async function pathTo({ port }: TestRedis) {
  const proxy = await LinkProxy.open(() => port);
  onTestFinished(() => proxy.close());
  return { proxy, url: `redis://127.0.0.1:${proxy.port}` };
}

describe('reading', () => {
  it('asks memory, then Redis, then the source', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    const { load } = source({ name: 'Ada' });
    const seen: string[] = [];
    for (const { tiers } of [a, a, b, b]) seen.push((await tiers.getOrLoad('x', policy, load)).source);
    expect(seen).toEqual(['computed', 'memory', 'redis', 'memory']);
  });

  it('gives the same to the first caller as to the last: what JSON keeps, frozen', async () => {
    const { tiers } = await openCache(server.url);
    const load = () => Promise.resolve({ at: new Date(0), gone: undefined });
    const first = (await tiers.getOrLoad('x', policy, load)).value as { at: string };
    expect(first).toEqual({ at: '1970-01-01T00:00:00.000Z' });
    expect((await tiers.getOrLoad('x', policy, load)).value).toEqual(first);
    expect(() => Object.assign(first, { at: 'changed' })).toThrow(TypeError);
  });

  it('hands on what JSON cannot keep, and keeps nothing of it', async () => {
    const { tiers } = await openCache(server.url);
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect((await tiers.getOrLoad('x', policy, () => Promise.resolve(circle))).value).toBe(circle);
    expect((await tiers.getOrLoad('y', policy, () => Promise.resolve(undefined))).value).toBe(undefined);
    expect(await redis.exists('x', 'y')).toBe(0);
  });

  it('keeps "there is none" only for as long as its own TTL says', async () => {
    const { tiers } = await openCache(server.url);
    const none = source(null);
    await tiers.getOrLoad('x', policy, none.load);
    await tiers.getOrLoad('x', policy, none.load);
    expect(none.asked).toBe(2);
    const withNull = { ...policy, nullTtlSeconds: 5 };
    await tiers.getOrLoad('x', withNull, none.load);
    await tiers.getOrLoad('x', withNull, none.load);
    expect(none.asked).toBe(3);
  });

  it('works in the memory of one process when there is no Redis', async () => {
    const { tiers } = await openCache(null);
    const { load } = source(1);
    await tiers.getOrLoad('x', policy, load);
    expect((await tiers.getOrLoad('x', policy, load)).source).toBe('memory');
    await tiers.evict(['x']);
    expect((await tiers.getOrLoad('x', policy, load)).source).toBe('computed');
  });
});

describe('one computation', () => {
  it('is shared by all who ask at once, in this process and in others', async () => {
    const processes = await Promise.all([1, 2, 3, 4].map(() => openCache(server.url)));
    const slow = source('v');
    const load = async () => {
      await new Promise((resolve) => setTimeout(resolve, 60));
      return slow.load();
    };
    const found = await Promise.all(
      Array.from({ length: 50 }, () => processes.map(({ tiers }) => tiers.getOrLoad('x', policy, load))).flat(),
    );
    expect(new Set(found.map(({ value }) => value))).toEqual(new Set(['v']));
    expect(slow.asked).toBe(1);
  });

  it('that throws is not kept, reaches everybody who waits, and lets the next one try', async () => {
    const { tiers } = await openCache(server.url);
    let asked = 0;
    const load = () => (asked++, Promise.reject(new Error('no')));
    const results = await Promise.allSettled([1, 2, 3].map(() => tiers.getOrLoad('x', policy, load)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(asked).toBe(1);
    expect((await tiers.getOrLoad('x', policy, () => Promise.resolve('now'))).value).toBe('now');
  });

  it('is taken over when the process that computes is gone', async () => {
    const dead = await openCache(server.url);
    void dead.tiers.getOrLoad('x', policy, () => new Promise(() => undefined));
    await eventually(async () => (await redis.exists('waxwing:cache:lock:x')) === 1);
    dead.tiers.stop();
    await redis.pexpire('waxwing:cache:lock:x', 50);
    const { tiers } = await openCache(server.url);
    expect((await tiers.getOrLoad('x', policy, () => Promise.resolve('mine'))).value).toBe('mine');
  });
});

describe('eviction', () => {
  it('reaches every process within 100 ms', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    const delays: number[] = [];
    const standstill = watchStandstill(() => redis.ping());
    for (let round = 0; round < 20; round += 1) {
      const state = source(round);
      await a.tiers.getOrLoad('x', policy, state.load);
      await b.tiers.getOrLoad('x', policy, state.load);
      expect(b.tiers.peek('x')).toBe(round);
      const [startMs, stoodMs] = [performance.now(), standstill.ms()];
      await a.tiers.evict(['x']);
      await eventually(() => b.tiers.peek('x') === undefined);
      delays.push(performance.now() - startMs - (standstill.ms() - stoodMs));
    }
    delays.sort((one, other) => one - other);
    expect(delays[10]).toBeLessThan(100);
  });

  it('refuses a computation that began before it', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    let finish: ((value: string) => void) | undefined;
    const reading = a.tiers.getOrLoad('x', policy, () => new Promise((resolve) => (finish = resolve)));
    await eventually(async () => (await redis.exists('waxwing:cache:lock:x')) === 1);
    await b.tiers.evict(['x']);
    await eventually(() => finish !== undefined);
    finish?.('old');
    expect((await reading).value).toBe('old');
    expect(await redis.exists('x')).toBe(0);
    expect(a.tiers.peek('x')).toBe(undefined);
    expect((await a.tiers.getOrLoad('x', policy, () => Promise.resolve('new'))).value).toBe('new');
  });

  it('takes a group by its tag, also one that another process read by its key alone', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    const { load } = source(1);
    await a.tiers.getOrLoad('x', policy, load, ['salon:1']);
    await a.tiers.getOrLoad('y', policy, load, ['salon:2']);
    await b.tiers.get('x');
    expect(b.tiers.peek('x')).toBe(1);
    await a.tiers.evictTags(['salon:1']);
    await eventually(() => b.tiers.peek('x') === undefined);
    expect(await b.tiers.get('x')).toBe(undefined);
    expect((await b.tiers.get('y'))?.value).toBe(1);
  });

  it('of a tag refuses a computation under that tag that began before it', async () => {
    const { tiers } = await openCache(server.url);
    const other = await openCache(server.url);
    let finish: ((value: string) => void) | undefined;
    const reading = tiers.getOrLoad('x', policy, () => new Promise((resolve) => (finish = resolve)), ['t']);
    await eventually(async () => (await redis.exists('waxwing:cache:lock:x')) === 1);
    await other.tiers.evictTags(['t']);
    await eventually(() => finish !== undefined);
    finish?.('old');
    await reading;
    expect(await redis.exists('x')).toBe(0);
  });

  it('that nobody could hear is found out: a process whose ears are cut forgets everything', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await b.tiers.getOrLoad('x', policy, source('old').load);
    const sender = String(await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub'));
    for (const [, id] of sender.matchAll(/^id=(\d+)/gm)) await redis.call('CLIENT', 'KILL', 'ID', id ?? '');
    await a.tiers.evict(['x']);
    await eventually(async () => (await b.tiers.getOrLoad('x', policy, source('new').load)).value === 'new');
  });

  it('that was lost on its way is found out by its number', async () => {
    const { tiers } = await openCache(server.url);
    await tiers.getOrLoad('x', policy, source('old').load);
    // As an eviction does whose message was lost.
    await redis.multi().del('x').hincrby(STATE, 'seq', 1).exec();
    await eventually(() => tiers.peek('x') === undefined);
  });

  it('of everything leaves keys of others alone', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await redis.set('foreign', '1');
    await Promise.all(Array.from({ length: 1200 }, (_, n) => a.tiers.set(`k${n}`, n, policy)));
    await b.tiers.get('k7');
    await a.tiers.reset();
    await eventually(() => b.tiers.peek('k7') === undefined);
    // On a busy machine the reset may be made up for only after a moment.
    await eventually(async () => {
      const left = (await redis.keys('*')).filter((key) => !key.startsWith('waxwing:cache:'));
      expect(left).toEqual(['foreign']);
      return true;
    });
    expect(await redis.hget(STATE, 'bytes')).toBe('0');
  });
});

describe('times', () => {
  it('a value ends at its TTL, up to a tenth earlier', async () => {
    let nowMs = Date.now();
    const { tiers } = await openCache(null, { now: () => nowMs, random: () => 1 });
    await tiers.set('x', 1, { ttlSeconds: 100 });
    nowMs += 89_999;
    expect(tiers.peek('x')).toBe(1);
    nowMs += 2;
    expect(tiers.peek('x')).toBe(undefined);
  });

  it('every key in Redis has a TTL', async () => {
    const { service, tiers } = await openCache(server.url);
    await service.setSalon('s', { name: 'x' });
    await tiers.getOrLoad('y', policy, source(1).load, ['t']);
    await tiers.evictTags(['t', 'u']);
    await tiers.getOrLoad('y', policy, source(1).load, ['t']);
    for (const key of await redis.keys('*')) expect(await redis.pttl(key), key).toBeGreaterThan(0);
    const salonSeconds = await redis.ttl('salon:s');
    expect(salonSeconds).toBeGreaterThan(TTLS.salonSeconds * 0.85);
    expect(salonSeconds).toBeLessThanOrEqual(TTLS.salonSeconds + 3600);
  });

  it('while the source is down an old value serves, no longer than it may', async () => {
    let nowMs = Date.now();
    const { tiers } = await openCache(null, { now: () => nowMs, random: () => 0 });
    await tiers.getOrLoad('x', policy, source('old').load);
    nowMs += 61_000;
    expect(await tiers.getOrLoad('x', policy, away)).toEqual({ value: 'old', source: 'stale' });
    nowMs += 600_000;
    await expect(tiers.getOrLoad('x', policy, away)).rejects.toThrow(AppError);
  });

  it('an old value in Redis serves a process that never saw it; an evicted one serves nobody', async () => {
    const short = { ttlSeconds: 0.05, staleSeconds: 60 };
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await a.tiers.getOrLoad('x', short, source('old').load);
    await eventually(async () => (await a.tiers.get('x')) === undefined);
    expect(await b.tiers.getOrLoad('x', short, away)).toEqual({ value: 'old', source: 'stale' });
    await a.tiers.evict(['x']);
    await eventually(() => b.tiers.peek('x') === undefined);
    await expect(b.tiers.getOrLoad('x', short, away)).rejects.toThrow(AppError);
  });

  it('an error that is none of the source being down is thrown, whatever is kept', async () => {
    let nowMs = Date.now();
    const { tiers } = await openCache(null, { now: () => nowMs });
    await tiers.getOrLoad('x', policy, source('old').load);
    nowMs += 61_000;
    await expect(tiers.getOrLoad('x', policy, () => Promise.reject(new Error('bug')))).rejects.toThrow('bug');
  });
});

describe('bounds', () => {
  it('Redis holds no more than the budget: what ends first goes first', async () => {
    const { tiers } = await openCache(server.url, { bytesMax: 64 * 1024 });
    const value = 'x'.repeat(4096);
    for (let n = 0; n < 40; n += 1) await tiers.set(`k${n}`, value, { ttlSeconds: 60 + 10 * n });
    const kept = (await redis.keys('k*')).sort();
    expect(kept.length).toBeGreaterThan(8);
    expect(kept.length).toBeLessThan(16);
    expect(kept).toContain('k39');
    expect(kept).not.toContain('k0');
    expect(Number(await redis.hget(STATE, 'bytes'))).toBeLessThanOrEqual(64 * 1024);
    expect(await redis.hlen(SIZES)).toBe(kept.length);
    expect(await redis.zcard(INDEX)).toBe(kept.length);
  });

  it('what has expired is counted off', async () => {
    const { tiers } = await openCache(server.url);
    for (let n = 0; n < 50; n += 1) await tiers.set(`k${n}`, n, { ttlSeconds: 0.02 });
    await eventually(async () => (await redis.hget(STATE, 'bytes')) === '0');
    expect(await redis.zcard(INDEX)).toBe(0);
  });

  it('memory holds no more than its budget', async () => {
    const { tiers } = await openCache(null, { memoryBytesMax: 100_000 });
    for (let n = 0; n < 500; n += 1) await tiers.set(`k${n}`, 'x'.repeat(1000), policy);
    expect(tiers.state.memoryBytes).toBeLessThanOrEqual(100_000);
    expect(tiers.peek('k499')).toBeDefined();
    await tiers.set('huge', 'x'.repeat(200_000), policy);
    expect(tiers.peek('huge')).toBe(undefined);
    expect(tiers.peek('k499')).toBeDefined();
  });

  it.each([0, -1, NaN, Infinity, 31 * 86_400])('refuses a TTL of %s s', async (ttlSeconds) => {
    const { tiers } = await openCache(null);
    await expect(tiers.set('x', 1, { ttlSeconds })).rejects.toThrow(RangeError);
  });

  it.each(['', 'waxwing:cache:state'])('refuses the key "%s"', async (key) => {
    const { service } = await openCache(server.url);
    await expect(service.set(key, 1)).rejects.toThrow(RangeError);
  });

  it('a key of a megabyte is stored as its hash', async () => {
    const { service } = await openCache(server.url);
    const key = `${'x'.repeat(1_000_000)}\u0000é😀`;
    await service.set(key, 1);
    expect(await service.get(key)).toBe(1);
    expect(await service.get(`${key}!`)).toBe(undefined);
  });
});

describe('poison', () => {
  it.each([
    ['not ours', 'garbage'],
    ['another version', 'W1|0|xxxxxxxx|99999999999999||{"a":1}'],
    ['another layout', 'W0|1|xxxxxxxx|99999999999999||{"a":1}'],
  ])('an entry that is %s counts as a miss and is removed', async (_what, text) => {
    const { tiers, service } = await openCache(server.url);
    await redis.set('salon:p', text);
    expect(await service.getSalon('p')).toBe(undefined);
    expect(await redis.exists('salon:p')).toBe(0);
    await redis.set('salon:p', text);
    expect((await tiers.getOrLoad('salon:p', policy, source('good').load)).value).toBe('good');
  });

  it('an entry that is no JSON counts as a miss and is removed', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await a.service.setSalon('p', { name: 'Ada' });
    await redis.set('salon:p', `${(await redis.get('salon:p')) ?? ''}}`, 'KEEPTTL');
    expect(await b.service.getSalon('p')).toBe(undefined);
    expect(await redis.exists('salon:p')).toBe(0);
  });

  it.each(['hash', 'list', 'set'])(
    'a %s under the key counts as a miss, is removed, and is computed once',
    async (type) => {
      const { tiers, service } = await openCache(server.url);
      const put = async () => {
        if (type === 'hash') await redis.hset('salon:p', 'a', '1');
        else await (type === 'list' ? redis.lpush('salon:p', '1') : redis.sadd('salon:p', '1'));
      };
      await put();
      expect(await service.getSalon('p')).toBe(undefined);
      expect(await redis.exists('salon:p')).toBe(0);
      await put();
      const from = source('good');
      for (let n = 0; n < 3; n += 1) expect((await tiers.getOrLoad('salon:p', policy, from.load)).value).toBe('good');
      expect(from.asked).toBe(1);
      expect(await redis.type('salon:p')).toBe('string');
    },
  );

  it('another version of the code computes anew', async () => {
    const { tiers } = await openCache(server.url);
    await tiers.getOrLoad('x', policy, source('old shape').load);
    const next = await openCache(server.url);
    const found = await next.tiers.getOrLoad('x', { ...policy, version: '2' }, source('new shape').load);
    expect(found.value).toBe('new shape');
  });
});

describe('C6 · Redis away', () => {
  it('is slower, never wrong and never an error; what was evicted meanwhile stays evicted', async () => {
    const own = await testRedis({ fsync: 'none' });
    onTestFinished(() => own.stop());
    const [a, b] = [await openCache(own.url), await openCache(own.url)];
    const state = source('old');
    for (const { tiers } of [a, b]) await tiers.getOrLoad('x', policy, state.load);
    await own.kill('SIGKILL');
    await eventually(() => !a.tiers.state.isRedisUp && !b.tiers.state.isRedisUp);
    state.value = 'new';
    await a.tiers.evict(['x']);
    for (const { tiers } of [a, b]) expect((await tiers.getOrLoad('x', policy, state.load)).value).toBe('new');
    await a.service.set('y', 1);
    expect(await a.service.get('y')).toBe(undefined);
    await own.restart();
    await eventually(() => a.tiers.state.isRedisUp && b.tiers.state.isRedisUp, { timeoutMs: 10_000 });
    for (const { tiers } of [a, b]) expect((await tiers.getOrLoad('x', policy, state.load)).value).toBe('new');
  });

  it('evictions of a process that alone was cut off are made up for', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await b.tiers.getOrLoad('x', policy, source('old').load);
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await a.tiers.evict(['x']);
    await eventually(async () => (await b.tiers.getOrLoad('x', policy, source('new').load)).value === 'new');
  });

  it('a Redis that hangs costs one timeout and not one for each caller', async () => {
    const own = await testRedis({ fsync: 'none' });
    const { tiers } = await openCache(own.url);
    await own.kill('SIGSTOP');
    onTestFinished(() => own.kill('SIGCONT'));
    await eventually(async () => {
      await tiers.getOrLoad('warm', policy, source(1).load);
      return !tiers.state.isRedisUp;
    });
    const standstill = watchStandstill();
    const startMs = performance.now();
    for (let n = 0; n < 200; n += 1) await tiers.getOrLoad(`k${n}`, policy, source(n).load);
    expect(performance.now() - startMs).toBeLessThan(1000 + standstill.ms());
  });

  it('a path that is dead without a word is noticed, and another one opened', async () => {
    const path = await pathTo(server);
    const { tiers } = await openCache(path.url);
    await tiers.getOrLoad('x', policy, source('old').load);
    path.proxy.strand();
    await eventually(async () => {
      await tiers.getOrLoad('y', policy, source(1).load);
      return !tiers.state.isRedisUp;
    });
    await redis.set('x', 'no longer what it was');
    await eventually(() => tiers.state.isRedisUp, { timeoutMs: 10_000 });
    expect((await tiers.getOrLoad('x', policy, source('new').load)).value).toBe('new');
  });

  it('ears whose path is dead without a word are replaced, and hear again', async () => {
    const path = await pathTo(server);
    const [a, b] = [await openCache(server.url), await openCache(path.url)];
    await b.tiers.getOrLoad('x', policy, source('old').load);
    const ears = async () => String(await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub')).match(/^id=/gm)?.length;
    expect(await ears()).toBe(2);
    path.proxy.strand('listening');
    await a.tiers.evict(['x']);
    await eventually(async () => (await b.tiers.getOrLoad('x', policy, source('new').load)).value === 'new');
    // Redis has not heard of the end of the old ones.
    await eventually(async () => (await ears()) === 3, { timeoutMs: 10_000 });
    await eventually(() => b.tiers.state.isRedisUp);
  });

  it('a Redis that is full caches nothing and fails nobody', async () => {
    const own = await testRedis({ fsync: 'none', maxMemory: '4mb', settings: { 'maxmemory-policy': 'noeviction' } });
    const { tiers } = await openCache(own.url, { bytesMax: 64 * 1024 * 1024 });
    await tiers.getOrLoad('x', policy, source('old').load);
    const filler = new Redis(own.url);
    onTestFinished(() => filler.disconnect());
    await expect(
      (async () => {
        for (let n = 0; n < 1000; n += 1) await filler.set(`f${n}`, 'x'.repeat(20_000));
      })(),
    ).rejects.toThrow(/OOM/);
    expect((await tiers.getOrLoad('y', policy, source('v').load)).value).toBe('v');
    await tiers.evict(['x']);
    expect(await filler.exists('x')).toBe(0);
    expect((await tiers.getOrLoad('x', policy, source('new').load)).value).toBe('new');
  });
});
