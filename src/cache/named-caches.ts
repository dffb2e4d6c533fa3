import { keyOf } from './keys.ts';
import type { CachePolicy } from './policy.ts';

/** A kind of values: its key, how long they are kept, and what evicts them besides their key. */
export interface CacheDefinition<Args extends readonly unknown[], Value> extends CachePolicy {
  /** In reports: `salon`. */
  readonly name: string;
  readonly key: (...args: Args) => string;
  /** Groups that are evicted together; without blanks. */
  readonly tags?: (...args: Args) => readonly string[];
  /** False: its hit rate follows from what people do and says nothing of the cache's health. */
  readonly isJudged?: boolean;
  /** Ties the key to its value's type; never there at run time. */
  readonly value?: Value;
}

/** TTLs, s. */
export interface CacheTtls {
  /** CACHE_TTL_SECONDS: of `set` without a TTL. */
  readonly defaultSeconds: number;
  readonly dashboardSeconds: number;
  readonly salonSeconds: number;
  readonly templateSeconds: number;
  readonly conversationSeconds: number;
  readonly userMappingSeconds: number;
  readonly configSeconds: number;
  readonly projectsSeconds: number;
  readonly conversationHistorySeconds: number;
}

/** A value past its TTL may serve this long while the record is away: it cannot have changed meanwhile. */
const STALE_SECONDS = 3600;
/** "There is none" is evicted like a value, by whoever makes one; this bounds it all the same. */
const NULL_TTL_SECONDS = 30;

/** Stands for the salon in dashboards of all salons together; no salon can be called that. */
export const ALL_SALONS = '*';

const dashboardUser = (user: string): string => keyOf('dashboard', 'user', user);
const dashboardSalon = (salon: string): string => keyOf('dashboard', 'salon', salon);

/** Tags of the dashboards that show a user's figures, and of those that show a salon's. */
export const dashboardTags = { ofUser: dashboardUser, ofSalon: dashboardSalon };

/** The named caches with the keys of their values. */
export function namedCaches(ttls: CacheTtls) {
  const kept = { staleSeconds: STALE_SECONDS, nullTtlSeconds: NULL_TTL_SECONDS };
  return {
    dashboard: define<[user: string, salon?: string], unknown>({
      ...kept,
      name: 'dashboard',
      ttlSeconds: ttls.dashboardSeconds,
      key: (user, salon) => keyOf('dashboard', 'stats', user, ...(salon === undefined ? [] : [salon])),
      // Without a salon it shows all of them together.
      tags: (user, salon = ALL_SALONS) => [dashboardUser(user), dashboardSalon(salon)],
    }),
    dashboardRange: define<[user: string, salon: string, from: string, to: string, timeZone: string], unknown>({
      ...kept,
      name: 'dashboard',
      ttlSeconds: ttls.dashboardSeconds,
      key: (...parts) => keyOf('dashboard', 'stats', ...parts),
      tags: (user, salon) => [dashboardUser(user), dashboardSalon(salon)],
    }),
    salon: define<[id: string], unknown>({
      ...kept,
      name: 'salon',
      ttlSeconds: ttls.salonSeconds,
      key: (id) => keyOf('salon', id),
    }),
    template: define<[id: string], unknown>({
      ...kept,
      name: 'template',
      ttlSeconds: ttls.templateSeconds,
      key: (id) => keyOf('template', id),
    }),
    conversation: define<[id: string], unknown>({
      ...kept,
      name: 'conversation',
      ttlSeconds: ttls.conversationSeconds,
      key: (id) => keyOf('conversation', id),
    }),
    userMapping: define<[alias: string], unknown>({
      ...kept,
      name: 'user-mapping',
      ttlSeconds: ttls.userMappingSeconds,
      key: (alias) => keyOf('user', 'mapping', alias),
      // Whoever writes for the first time is a miss.
      isJudged: false,
    }),
    whatsappConfig: define<[sender: string], unknown>({
      ...kept,
      name: 'whatsapp-config',
      ttlSeconds: ttls.configSeconds,
      key: (sender) => keyOf('whatsapp', 'config', sender),
    }),
    userProjects: define<[user: string], unknown>({
      ...kept,
      name: 'user-projects',
      ttlSeconds: ttls.projectsSeconds,
      key: (user) => keyOf('user', 'projects', user),
    }),
    conversationHistory: define<[conversation: string], unknown>({
      ...kept,
      name: 'conversation-history',
      ttlSeconds: ttls.conversationHistorySeconds,
      key: (conversation) => keyOf('conversation', 'history', conversation),
      // A conversation is read when something was said in it, and what is said evicts it.
      isJudged: false,
    }),
    conversationSaid: define<[tenant: string, sender: string, conversation: string], unknown>({
      name: 'conversation-history',
      ttlSeconds: ttls.conversationHistorySeconds,
      key: (...place) => keyOf('conversation', 'said', ...place),
      isJudged: false,
    }),
  };
}

/** Checks nothing at run time: it ties the arguments of a key to the type of its value. */
export function define<Args extends readonly unknown[], Value>(
  definition: CacheDefinition<Args, Value>,
): CacheDefinition<Args, Value> {
  return definition;
}
