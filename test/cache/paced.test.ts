import { describe, expect, it } from 'vitest';
import { DUE, HOUSE, STATE } from '../../src/cache/keys.ts';
import { eventually } from '../support/services.ts';
import { cacheServer, openCache, type Opened } from './support/open-cache.ts';

/* C4 · Dashboards of a busy tenant are read anew once a second, and no eviction is lost with the process that owes it. */

const { server, redis } = await cacheServer();

const policy = { ttlSeconds: 60, staleSeconds: 600 };
const put = ({ tiers }: Opened, tag: string) => tiers.set(`shown:${tag}`, 'old', policy, [tag]);
const read = async ({ tiers }: Opened, tag: string) => (await tiers.get(`shown:${tag}`))?.value;
const evictions = async () => Number(await redis.hget(STATE, 'seq'));
const due = () => redis.zrange(DUE, '0', '-1');
/** A pause that no slow machine outlasts; also when the real one is over already. */
const hold = async (tag: string) => {
  const key = `${HOUSE}paced:${tag}`;
  if ((await redis.pexpire(key, 60_000)) === 0) await redis.set(key, '1', 'PX', 60_000);
};
/** As if a pause had passed. */
const letPass = async (tag: string) => {
  await redis.del(`${HOUSE}paced:${tag}`);
  await redis.zadd(DUE, 'XX', '0', tag);
};

describe('C4 · evictions of what changes many times a second', () => {
  it('a quiet tag at once, in the same step, however busy the others are', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    for (const tag of ['busy', 'quiet']) await put(a, tag);
    expect(await read(b, 'quiet')).toBe('old');
    await a.tiers.evictTagsPaced(['busy']);
    await hold('busy');
    await b.tiers.evictTagsPaced(['busy', 'quiet']);
    expect(await redis.exists('shown:quiet')).toBe(0);
    expect(await read(b, 'quiet')).toBe(undefined);
    expect(await due()).toEqual(['busy']);
  });

  it('a busy tag once more when its pause is over, of all processes together, and then it is quiet again', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await a.tiers.evictTagsPaced(['t']);
    await hold('t');
    await put(a, 't');
    expect(await read(b, 't')).toBe('old');
    const before = await evictions();
    for (let n = 0; n < 50; n += 1) await Promise.all([a, b].map(({ tiers }) => tiers.evictTagsPaced(['t'])));
    expect(await evictions()).toBe(before);
    expect(await read(b, 't')).toBe('old');
    await letPass('t');
    for (const one of [a, b]) {
      await eventually(async () => (expect(await read(one, 't')).toBe(undefined), true));
    }
    expect(await evictions()).toBe(before + 1);
    expect(await due()).toEqual([]);
  });

  it('the pause is a second', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    const startMs = performance.now();
    await a.tiers.evictTagsPaced(['t']);
    await put(a, 't');
    await a.tiers.evictTagsPaced(['t']);
    await eventually(async () => (expect(await read(b, 't')).toBe(undefined), true));
    expect(performance.now() - startMs).toBeGreaterThan(900);
  });

  it('a value that is computed while its tag waits is not kept beyond the eviction', async () => {
    const a = await openCache(server.url);
    await a.tiers.evictTagsPaced(['t']);
    await hold('t');
    await a.tiers.evictTagsPaced(['t']);
    let finish: (value: string) => void = () => undefined;
    let begun: () => void = () => undefined;
    const isBegun = new Promise<void>((resolve) => (begun = resolve));
    const load = () => (begun(), new Promise<string>((resolve) => (finish = resolve)));
    const asked = a.tiers.getOrLoad('shown:t', policy, load, ['t']);
    await isBegun;
    await letPass('t');
    await eventually(async () => (expect(await due()).toEqual([]), true));
    finish('old');
    expect((await asked).value).toBe('old');
    expect(await read(a, 't')).toBe(undefined);
  });

  it('what a process owed when it died is evicted by another one', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await a.tiers.evictTagsPaced(['t']);
    await hold('t');
    await put(a, 't');
    await a.tiers.evictTagsPaced(['t']);
    a.tiers.stop();
    expect(await read(b, 't')).toBe('old');
    await letPass('t');
    await eventually(async () => (expect(await read(b, 't')).toBe(undefined), true));
  });

  it('what all of them owed when they died is evicted before the next one reads anything', async () => {
    const a = await openCache(server.url);
    const tags = Array.from({ length: 250 }, (_, n) => `t${n}`);
    await a.tiers.evictTagsPaced(tags);
    for (const tag of tags) await Promise.all([put(a, tag), hold(tag)]);
    await a.tiers.evictTagsPaced(tags);
    a.tiers.stop();
    expect(await due()).toHaveLength(250);
    for (const tag of tags) await letPass(tag);
    const b = await openCache(server.url);
    expect(await Promise.all(tags.map((tag) => read(b, tag)))).toEqual(tags.map(() => undefined));
  });

  it('a tag of more keys than one step takes loses all of them', async () => {
    const a = await openCache(server.url);
    const keys = Array.from({ length: 2500 }, (_, n) => `many:${n}`);
    await Promise.all(keys.map((key) => a.tiers.set(key, 'old', policy, ['t'])));
    await a.tiers.evictTagsPaced(['t']);
    await eventually(async () => (expect(await redis.exists(...keys)).toBe(0), true));
  });

  it('a server that is full still evicts', async () => {
    const a = await openCache(server.url);
    await put(a, 't');
    await redis.config('SET', 'maxmemory', '1');
    try {
      await a.tiers.evictTagsPaced(['t']);
      expect(await redis.exists('shown:t')).toBe(0);
      await hold('t');
      await a.tiers.evictTagsPaced(['t']);
      expect(await due()).toEqual(['t']);
    } finally {
      await redis.config('SET', 'maxmemory', '0');
    }
  });
});
