import type { Logger } from 'pino';
import { Caches, CacheService, type Condition, TemplateMetrics, TieredCache, useCache } from '../cache/index.ts';
import type { Config } from '../config/index.ts';
import { EVICTED } from '../messages/index.ts';
import type { RecordChanges, RecorderOptions, RecordOptions, WaxwingRecord } from '../record/index.ts';
import { ContentSidCache } from '../templates/index.ts';
import { CacheReporter } from './cache-reporter.ts';
import { evictThreads } from './statistics.ts';

/** The caches of this process, and what hangs on them. */
export interface ProgramCaches {
  readonly service: CacheService;
  readonly metrics: TemplateMetrics;
  /** Every change of the record evicts what it makes old; people that it remembers are counted. */
  readonly ofRecord: Pick<RecordOptions, 'changes' | 'knownPeople'>;
  readonly evictions: TieredCache['onEvicted'];
  /** For the recorders: what they write evicts what shows it, before the log forgets it. */
  readonly ofRecorder: Pick<RecorderOptions, 'onBatch'>;
  /** Once the record is open: template content ids, figures in the background, warm-up. */
  follow(record: WaxwingRecord): Promise<ContentSidCache>;
  /** Ends what looks at the record; before it is closed. */
  unfollow(): Promise<void>;
  stop(): void;
}

/** Opens the caches. A cache Redis that is away holds nobody up. */
export async function openCaches(config: Config, redisUrl: string, log: Logger): Promise<ProgramCaches> {
  let wasAway = false;
  const tiers = new TieredCache({
    redisUrl,
    bytesMax: config.cacheMaxBytes,
    onChange: (isUp, reason) => {
      if (!isUp) {
        wasAway = true;
        log.warn({ reason }, 'the cache Redis is away; reads go to the source until it is back');
      } else if (wasAway) log.info('the cache Redis is back');
      else log.debug('the cache is connected');
    },
  });
  const caches = new Caches({
    tiers,
    spikeThreshold: config.cacheSpikeThreshold,
    spikeThresholdOf: thresholdsOf(config.cacheSpikeThresholdByKey),
    onCondition: (condition, isOn) => logCondition(log, condition, isOn),
    ...(log.isLevelEnabled('debug') && {
      onLook: (cache: string, key: string, isHit: boolean) =>
        log.debug({ cache, key: withoutPeople(key) }, isHit ? 'cache hit' : 'cache miss'),
    }),
  });
  const service = new CacheService(caches, {
    defaultSeconds: config.cacheTtlSeconds,
    dashboardSeconds: config.dashboardCacheTtlSeconds,
    salonSeconds: config.salonCacheTtlSeconds,
    templateSeconds: config.templateCacheTtlSeconds,
    conversationSeconds: config.conversationCacheTtlSeconds,
    userMappingSeconds: config.cacheUserMappingTtl / 1000,
    configSeconds: config.cacheConfigTtl / 1000,
    projectsSeconds: config.cacheProjectsTtl / 1000,
    conversationHistorySeconds: config.cacheConversationTtl / 1000,
  });
  const metrics = new TemplateMetrics({ caches });
  await tiers.start();
  useCache(service);
  let reporter: CacheReporter | undefined;
  return {
    service,
    metrics,
    ofRecord: {
      changes: changesOf(service),
      knownPeople: { ttlMs: config.cacheUserMappingTtl, onLook: countPeople(caches) },
    },
    ofRecorder: { onBatch: ({ threads }) => evictThreads(service, threads) },
    evictions: (listener) => tiers.onEvicted(listener),
    async follow(record) {
      const contentSids = new ContentSidCache({
        caches,
        metrics,
        store: record.contentSids,
        exclusive: record.exclusive,
        overrides: config.templateSids,
        ttlSeconds: config.templateCacheTtlSeconds,
      });
      reporter = new CacheReporter({ caches, metrics, record, contentSids, log });
      await reporter.start();
      return contentSids;
    },
    unfollow: async () => await reporter?.stop(),
    stop() {
      useCache(null);
      tiers.stop();
    },
  };
}

/** Figures of `user-mapping`, whose entries stay in the memory of each process. The key names nobody. */
function countPeople(caches: Caches): (isKnown: boolean) => void {
  const metrics = caches.metricsOf('user-mapping', false);
  return (isKnown) => (isKnown ? metrics.hit('user:mapping') : metrics.miss('user:mapping'));
}

/** Which keys a change makes old: the one list of it. */
function changesOf(service: CacheService): RecordChanges {
  const {
    caches: { tiers },
    named,
  } = service;
  return {
    tenant: (id) => tiers.evict([named.salon.key(id)]),
    sender: ({ id, tenant }) =>
      tiers.evict([named.whatsappConfig.key(id), ...(tenant === null ? [] : [named.userProjects.key(tenant)])]),
    apiKey: () => tiers.evict([EVICTED.apiKeys]),
    booking: (tenant) => service.invalidateDashboardCache(null, tenant),
    template: (id) => service.invalidateTemplate(id),
    threads: (changed) => evictThreads(service, changed),
    contacts: (aliases) => tiers.evict(aliases.map(({ value }) => named.userMapping.key(value))),
  };
}

function logCondition(log: Logger, { kind, cache, key, threshold, figures }: Condition, isOn: boolean): void {
  const line = { cache, ...(key === null ? {} : { key: withoutPeople(key) }), threshold, ...figures };
  const what = kind === 'cache-miss-spike' ? 'miss rate above its threshold' : 'low cache hit rate';
  if (isOn) log.warn(line, what);
  else log.info(line, `no longer: ${what}`);
}

/**
 * A key may hold a person's number or address, as those of conversations do: a log shows neither in full. Four digits
 * tell two keys apart, which the two of the API's masks would not.
 */
function withoutPeople(key: string): string {
  return key.replace(/\d{7,}/g, (digits) => `…${digits.slice(-4)}`).replace(/[^\s:@]+@/g, '…@');
}

/** Of `welcome=0.7`; the settings have checked the shape. */
function thresholdsOf(texts: readonly string[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.lastIndexOf('=');
      return [text.slice(0, at), Number(text.slice(at + 1))] as const;
    }),
  );
}
