import type { Cache, Caches } from './cache.ts';
import { ALL_SALONS, dashboardTags, type CacheTtls, define, namedCaches } from './named-caches.ts';
import { assertTtl } from './policy.ts';

/** Version of values under keys that the caller names: their shape is the caller's. */
const PLAIN = 'plain';

/**
 * The cache by names: any key, and the named caches. Values are what JSON keeps, and come back frozen. Nothing here
 * fails because Redis is away: reads find nothing then, and evictions are made up for when it is back.
 */
export class CacheService {
  readonly caches: Caches;
  readonly named: {
    readonly [Name in keyof ReturnType<typeof namedCaches>]: Cache<
      Parameters<ReturnType<typeof namedCaches>[Name]['key']>,
      unknown
    >;
  };
  readonly #defaultTtlSeconds: number;

  constructor(caches: Caches, ttls: CacheTtls) {
    this.caches = caches;
    this.#defaultTtlSeconds = ttls.defaultSeconds;
    const named = namedCaches(ttls);
    this.named = {
      dashboard: caches.of(named.dashboard),
      dashboardRange: caches.of(named.dashboardRange),
      salon: caches.of(named.salon),
      template: caches.of(named.template),
      conversation: caches.of(named.conversation),
      userMapping: caches.of(named.userMapping),
      whatsappConfig: caches.of(named.whatsappConfig),
      userProjects: caches.of(named.userProjects),
      conversationHistory: caches.of(named.conversationHistory),
      conversationSaid: caches.of(named.conversationSaid),
    };
  }

  /** The value under a key; undefined when there is none. */
  async get<T>(key: string): Promise<T | undefined> {
    // The key may be one of a named cache, whose values have version 1.
    const found = (await this.caches.tiers.get(key, versionOf(key))) as { readonly value: T } | undefined;
    if (found === undefined) this.#metrics.miss(key);
    else this.#metrics.hit(key);
    return found?.value;
  }

  /**
   * @param ttlSeconds more than 0, at most 30 days; default CACHE_TTL_SECONDS
   * @throws RangeError for a TTL or key that is none, TypeError for a value that JSON cannot keep
   */
  async set(key: string, value: unknown, ttlSeconds = this.#defaultTtlSeconds): Promise<void> {
    await this.caches.tiers.set(key, value, { ttlSeconds, version: versionOf(key) });
    this.#metrics.creation(key);
  }

  /** Forgets keys, in every process within 100 ms. */
  async del(...keys: readonly string[]): Promise<void> {
    await this.caches.tiers.evict(keys);
  }

  /** Forgets everything that this installation has cached; other keys of the Redis database stay. */
  async reset(): Promise<void> {
    await this.caches.tiers.reset();
  }

  /** The value under a key, else that of `load`, which runs once for all who ask at the same time. */
  async getOrLoad<T>(
    key: string,
    load: () => Promise<T>,
    options: { readonly ttlSeconds?: number; readonly staleSeconds?: number; readonly nullTtlSeconds?: number } = {},
  ): Promise<T> {
    const ttlSeconds = options.ttlSeconds ?? this.#defaultTtlSeconds;
    assertTtl(ttlSeconds);
    const definition = define<[], T>({
      ...options,
      name: 'other',
      key: () => key,
      ttlSeconds,
      version: versionOf(key),
    });
    return (await this.caches.of(definition).getOrLoad([], load)) as T;
  }

  setDashboardStats(userId: string, stats: object, salonId?: string): Promise<void> {
    return this.named.dashboard.set(dashboardArgs(userId, salonId), stats);
  }
  async getDashboardStats<T>(userId: string, salonId?: string): Promise<T | undefined> {
    return there(await this.named.dashboard.get(...dashboardArgs(userId, salonId))) as T | undefined;
  }
  /** Without a salon: all dashboards of the user. With one: that, and the user's over all salons. */
  async invalidateDashboardStats(userId: string, salonId?: string): Promise<void> {
    if (salonId === undefined) await this.caches.tiers.evictTags([dashboardTags.ofUser(userId)]);
    else await this.del(this.named.dashboard.key(userId, salonId), this.named.dashboard.key(userId));
  }

  setSalon(salonId: string, salon: object): Promise<void> {
    return this.named.salon.set([salonId], salon);
  }
  async getSalon<T>(salonId: string): Promise<T | undefined> {
    return there(await this.named.salon.get(salonId)) as T | undefined;
  }
  invalidateSalon(salonId: string): Promise<void> {
    return this.named.salon.evict(salonId);
  }

  setTemplate(templateId: string, template: object): Promise<void> {
    return this.named.template.set([templateId], template);
  }
  async getTemplate<T>(templateId: string): Promise<T | undefined> {
    return there(await this.named.template.get(templateId)) as T | undefined;
  }
  invalidateTemplate(templateId: string): Promise<void> {
    return this.named.template.evict(templateId);
  }

  setConversation(id: string, conversation: object): Promise<void> {
    return this.named.conversation.set([id], conversation);
  }
  async getConversation<T>(id: string): Promise<T | undefined> {
    return there(await this.named.conversation.get(id)) as T | undefined;
  }
  invalidateConversation(id: string): Promise<void> {
    return this.named.conversation.evict(id);
  }

  /**
   * Forgets every dashboard in which a salon's figures show: the owner's of the salon, the owner's over all salons,
   * and what other users see of the salon.
   */
  async invalidateDashboardCache(ownerId: string | null, salonId: string): Promise<void> {
    const { dashboard } = this.named;
    await Promise.all([
      this.dashboardsChanged([salonId]),
      ownerId === null ? undefined : this.del(dashboard.key(ownerId, salonId), dashboard.key(ownerId)),
    ]);
  }

  /** Forgets every dashboard that shows one of these salons, those of all salons together among them. */
  async dashboardsChanged(salonIds: readonly string[]): Promise<void> {
    if (salonIds.length === 0) return;
    await this.caches.tiers.evictTags([...salonIds, ALL_SALONS].map(dashboardTags.ofSalon));
  }

  /** The same for changes that come many times a second: those of a salon are evicted once a second at most. */
  async dashboardsChangedOften(salonIds: readonly string[]): Promise<void> {
    if (salonIds.length === 0) return;
    await this.caches.tiers.evictTagsPaced([...salonIds, ALL_SALONS].map(dashboardTags.ofSalon));
  }

  get #metrics() {
    return this.caches.metricsOf('other');
  }
}

const NAMED_KEY = /^(?:dashboard:stats|salon|template|conversation|user:mapping|whatsapp:config|user:projects):/;

function versionOf(key: string): string {
  return NAMED_KEY.test(key) ? '1' : PLAIN;
}

function dashboardArgs(userId: string, salonId: string | undefined): [user: string, salon?: string] {
  return salonId === undefined ? [userId] : [userId, salonId];
}

/** For callers of these getters "there is none" and "it is not kept" are one. */
function there(value: unknown): unknown {
  return value === null ? undefined : value;
}
