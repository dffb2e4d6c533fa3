import pino from 'pino';
import { expect, it, onTestFinished, vi } from 'vitest';
import { Caches, TemplateMetrics, TieredCache } from '../../src/cache/index.ts';
import { CacheReporter } from '../../src/program/cache-reporter.ts';
import { openRecord } from '../../src/record/index.ts';
import { ContentSidCache } from '../../src/templates/index.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testDatabase } from '../support/services.ts';

function processOn(databaseUrl: string, redisUrl: string | null = null) {
  const record = openRecord({
    databaseUrl,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'secret-key-of-these-tests' }),
  });
  onTestFinished(() => record.close());
  const tiers = new TieredCache({ redisUrl, bytesMax: 1_048_576 });
  onTestFinished(() => tiers.stop());
  const caches = new Caches({ tiers, spikeThreshold: 0.5 });
  const metrics = new TemplateMetrics({ caches });
  const overrides = { welcome_mail: 'HXenv' };
  const { contentSids: store, exclusive } = record;
  const contentSids = new ContentSidCache({ caches, metrics, store, exclusive, overrides, ttlSeconds: 60 });
  const lines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>) });
  const reporter = new CacheReporter({ caches, metrics, record, contentSids, log });
  return { record, metrics, contentSids, reporter, lines };
}

it('T6, T9 · the summary line, hours added up over processes, and the warm-up by use', async () => {
  const { url } = await testDatabase();
  const [a, b] = [processOn(url), processOn(url)];
  for (const key of ['rare', 'often', 'often', 'often'])
    await a.contentSids.get(key, () => Promise.resolve(`HX${key}`));
  a.reporter.summary();
  expect(a.lines.at(-1)).toMatchObject({
    msg: 'caches, last 5 min',
    templates: {
      hits: 2,
      misses: 2,
      creations: 2,
      hitRate: 0.5,
      callsSaved: 2,
      topKeys: [{ key: 'often', uses: 3 }, {}],
    },
  });
  await a.reporter.tell();
  await a.reporter.tell(); // Tells only what is new.
  expect(a.metrics.getCacheReport().database).toMatchObject({ entries: 2, keys: 2 });

  expect(await b.contentSids.warmUp(1)).toBe(1);
  await b.contentSids.get('often', () => Promise.reject(new Error('made again')));
  expect(b.metrics.lastEvent('often')).toMatchObject({ sid: 'HXoften', source: 'memory' });
  await b.reporter.tell();
  const [hour, ...more] = (await b.record.cacheHistory.hours(2)).filter(({ cache }) => cache === 'template-sids');
  const sum = [hour, ...more].reduce((total, one) => total + (one?.hits ?? 0), 0);
  expect(sum).toBe(3);
});

it('T6, T5 · the summary is written every five minutes, and the figures of the record are read anew every minute', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const { url } = await testDatabase();
  const { record, metrics, reporter, lines } = processOn(url);
  const entries = () => metrics.getCacheReport().database?.entries;
  await reporter.start();
  await eventually(() => entries() === 0);
  await record.contentSids.add({ key: 'booking', signature: 'none', sid: 'HX1', friendlyName: null });
  vi.advanceTimersByTime(59_999);
  expect(entries()).toBe(0);
  vi.advanceTimersByTime(1);
  await eventually(() => entries() === 1);
  vi.advanceTimersByTime(300_000 - 60_001);
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(lines.map(({ msg }) => msg)).toEqual(['caches, last 5 min']);
  vi.advanceTimersByTime(300_000);
  expect(lines).toHaveLength(2);
  await reporter.stop();
});

it('T1 · the environment goes before the record and the creator', async () => {
  const { url } = await testDatabase();
  const { contentSids, metrics } = processOn(url);
  expect(await contentSids.get('welcome-mail', () => Promise.reject(new Error('made')))).toBe('HXenv');
  expect(metrics.lastEvent('welcome-mail')).toMatchObject({ source: 'environment' });
});

it('T1 · the environment goes before what the warm-up brought into memory', async () => {
  const { url } = await testDatabase();
  const { contentSids, metrics, record } = processOn(url);
  await record.contentSids.add({ key: 'welcome-mail', signature: 'none', sid: 'HXrecord', friendlyName: null });
  await record.contentSids.add({ key: 'other', signature: 'none', sid: 'HXother', friendlyName: null });
  expect(await contentSids.warmUp(10)).toBe(1);
  expect(await contentSids.get('welcome-mail', () => Promise.reject(new Error('made')))).toBe('HXenv');
  expect(metrics.lastEvent('welcome-mail')).toMatchObject({ source: 'environment' });
});

it('T1 · callers at once in two processes create once while the cache Redis is away; a creator that fails is followed by the next', async () => {
  const { url } = await testDatabase();
  const away = 'redis://127.0.0.1:1';
  const [a, b] = [processOn(url, away), processOn(url, away)];
  let made = 0;
  const make = () => Promise.resolve(`HX${(made += 1)}`);
  const othersWait = async () =>
    (await sql(url, `select 1 from pg_locks where locktype = 'advisory' and not granted`)).length > 0;
  const slow = async () => {
    const sid = await make();
    await eventually(othersWait, { what: 'the other process to wait for this one' });
    return sid;
  };
  const asked = [a, b, a, b].map(({ contentSids }) => contentSids.get('booking', slow, { data: { a: 1 } }));
  expect(await Promise.all(asked)).toEqual(['HX1', 'HX1', 'HX1', 'HX1']);
  expect(made).toBe(1);
  const failing = () => Promise.reject(new Error('refused'));
  await expect(a.contentSids.get('broken', failing)).rejects.toThrow('refused');
  expect(await b.contentSids.get('broken', make)).toBe('HX2');
});
