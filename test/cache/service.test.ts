import { describe, expect, it } from 'vitest';
import { eventually } from '../support/services.ts';
import { cacheServer, openCache } from './support/open-cache.ts';

const { server, redis } = await cacheServer();

describe('C1 · CacheService', () => {
  it('get, set, del, reset', async () => {
    const { service } = await openCache(server.url);
    expect(await service.get('k')).toBe(undefined);
    await service.set('k', { a: [1, 'two', null] }, 60);
    expect(await service.get<{ a: unknown[] }>('k')).toEqual({ a: [1, 'two', null] });
    expect(await redis.ttl('k')).toBeGreaterThan(50);
    await service.del('k');
    expect(await service.get('k')).toBe(undefined);
    await service.set('k', 1);
    await service.reset();
    expect(await service.get('k')).toBe(undefined);
  });

  it('a value that one process sets is what the others read, whatever they had', async () => {
    const [a, b] = [await openCache(server.url), await openCache(server.url)];
    await a.service.set('k', 'old');
    expect(await b.service.get('k')).toBe('old');
    await a.service.set('k', 'new');
    await eventually(async () => (await b.service.get('k')) === 'new');
  });

  it('refuses what JSON cannot keep', async () => {
    const { service } = await openCache(server.url);
    await expect(service.set('k', undefined)).rejects.toThrow(TypeError);
    await expect(service.set('k', 1n)).rejects.toThrow(TypeError);
    await expect(service.set('k', 1, 0)).rejects.toThrow(RangeError);
  });
});

describe('C2, P2 · named caches', () => {
  it.each([
    ['dashboard:stats:u1', 300, (s: Service) => s.setDashboardStats('u1', {})],
    ['dashboard:stats:u1:s1', 300, (s: Service) => s.setDashboardStats('u1', {}, 's1')],
    ['salon:s1', 1800, (s: Service) => s.setSalon('s1', {})],
    ['template:t1', 3600, (s: Service) => s.setTemplate('t1', {})],
    ['conversation:c1', 600, (s: Service) => s.setConversation('c1', {})],
    ['user:mapping:+4915', 300, (s: Service) => s.named.userMapping.set(['+4915'], {})],
    ['whatsapp:config:w1', 600, (s: Service) => s.named.whatsappConfig.set(['w1'], {})],
    ['user:projects:u1', 180, (s: Service) => s.named.userProjects.set(['u1'], {})],
    ['conversation:history:c1', 60, (s: Service) => s.named.conversationHistory.set(['c1'], {})],
  ])('%s lives %d s', async (key, seconds, set) => {
    const { service } = await openCache(server.url);
    await set(service);
    const text = (await redis.get(key)) ?? '';
    const freshSeconds = (Number(text.split('|')[3]) - Date.now()) / 1000;
    expect(freshSeconds).toBeGreaterThan(seconds * 0.89);
    expect(freshSeconds).toBeLessThanOrEqual(seconds + 1);
  });

  it('set, get and invalidate of each', async () => {
    const { service } = await openCache(server.url);
    const value = { n: 1 };
    await service.setSalon('x', value);
    await service.setTemplate('x', value);
    await service.setConversation('x', value);
    await service.setDashboardStats('x', value);
    const read = () =>
      Promise.all([
        service.getSalon('x'),
        service.getTemplate('x'),
        service.getConversation('x'),
        service.getDashboardStats('x'),
      ]);
    expect(await read()).toEqual([value, value, value, value]);
    expect(await service.get('salon:x')).toEqual(value);
    await service.invalidateSalon('x');
    expect(await read()).toEqual([undefined, value, value, value]);
    await service.invalidateTemplate('x');
    await service.invalidateConversation('x');
    await service.invalidateDashboardStats('x');
    expect(await read()).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("C4 · a salon's change takes every dashboard that shows it, and no other", async () => {
    const { service } = await openCache(server.url);
    for (const [user, salon] of [['owner'], ['owner', 's1'], ['owner', 's2'], ['staff', 's1'], ['staff']] as const) {
      await service.setDashboardStats(user, { user, salon: salon ?? null }, salon);
    }
    await service.invalidateDashboardCache('owner', 's1');
    expect(await service.getDashboardStats('owner')).toBe(undefined);
    expect(await service.getDashboardStats('owner', 's1')).toBe(undefined);
    expect(await service.getDashboardStats('staff', 's1')).toBe(undefined);
    expect(await service.getDashboardStats('owner', 's2')).toBeDefined();
    // Whose salons these are is not known here: what shows all salons of a person may show this one.
    expect(await service.getDashboardStats('staff')).toBe(undefined);
    await service.invalidateDashboardStats('owner');
    expect(await service.getDashboardStats('owner', 's2')).toBe(undefined);
  });

  it("ids with colons do not become each other's keys", async () => {
    const { service } = await openCache(server.url);
    await service.setDashboardStats('a:b', { n: 1 });
    expect(await service.getDashboardStats('a', 'b')).toBe(undefined);
    expect(await service.getDashboardStats('a:b')).toEqual({ n: 1 });
  });

  it('counts hits and misses of each cache', async () => {
    const { service } = await openCache(server.url);
    await service.getSalon('s');
    await service.setSalon('s', {});
    await service.getSalon('s');
    expect(service.caches.metricsOf('salon').cumulative()).toMatchObject({ hits: 1, misses: 1, creations: 1 });
  });
});

type Service = Awaited<ReturnType<typeof openCache>>['service'];
