import { decimal, integer, optionalUrl, texts } from './setting.ts';

const seconds = (about: { readonly default: number; readonly doc: string }) =>
  integer({ area: 'cache', min: 1, max: 2_592_000, unit: 's', ...about });
const milliseconds = (about: { readonly default: number; readonly doc: string }) =>
  integer({ area: 'cache', min: 1, max: 2_592_000_000, unit: 'ms', ...about });

/** Caches and their measurement. */
export const CACHE_SETTINGS = {
  CACHE_REDIS_URL: optionalUrl({
    area: 'cache',
    protocols: ['redis:', 'rediss:'],
    secret: true,
    doc: 'A Redis of its own for caches, which may evict. Unset: the Redis of the queues, database REDIS_DB. A Redis Cluster does not serve.',
  }),
  CACHE_TTL_SECONDS: seconds({ default: 3600, doc: 'How long a value is kept that names no time of its own.' }),
  DASHBOARD_CACHE_TTL_SECONDS: seconds({ default: 300, doc: 'Dashboard statistics.' }),
  SALON_CACHE_TTL_SECONDS: seconds({ default: 1800, doc: 'Tenants.' }),
  TEMPLATE_CACHE_TTL_SECONDS: seconds({ default: 3600, doc: 'Templates and their content ids.' }),
  CONVERSATION_CACHE_TTL_SECONDS: seconds({ default: 600, doc: 'Conversations.' }),
  CACHE_USER_MAPPING_TTL: milliseconds({ default: 300_000, doc: 'Which contact a number or user id belongs to.' }),
  CACHE_CONFIG_TTL: milliseconds({ default: 600_000, doc: 'Senders and their limits; never their credentials.' }),
  CACHE_PROJECTS_TTL: milliseconds({ default: 180_000, doc: 'What belongs to a tenant, such as its own sender.' }),
  CACHE_CONVERSATION_TTL: milliseconds({ default: 60_000, doc: 'The newest messages of a conversation.' }),
  CACHE_MAX_BYTES: integer({
    area: 'cache',
    default: 268_435_456,
    min: 1_048_576,
    max: 1_099_511_627_776,
    unit: 'bytes',
    doc: 'All cached values in Redis together; what ends first makes room. A process keeps at most an eighth of it, and 64 MiB, in memory.',
  }),
  CACHE_SPIKE_THRESHOLD: decimal({
    area: 'cache',
    default: 0.5,
    min: 0,
    max: 1,
    doc: 'Share of misses in five minutes above which a cache has a spike.',
  }),
  CACHE_SPIKE_THRESHOLD_BY_KEY: texts({
    area: 'cache',
    countMax: 200,
    pattern: { test: /^[^=,]{1,200}=(?:0(?:\.\d{1,6})?|1(?:\.0{1,6})?)$/, words: 'key=share, e.g. `welcome=0.7`' },
    doc: 'Thresholds of single templates, with commas between them: `welcome=0.7,reminder=0.3`.',
  }),
} as const;
