import {
  choice,
  integer,
  nodes,
  optionalInteger,
  optionalText,
  optionalUrl,
  text,
  texts,
  toggle,
  url,
} from './setting.ts';

/** Process, data, keys, Cloud API, dangerous switches. */
export const PROCESS_SETTINGS = {
  PORT: integer({
    area: 'process',
    default: 3000,
    min: 0,
    max: 65_535,
    doc: 'Port of the HTTP API. 0 takes any free port; the line "ready" names it.',
  }),
  HOST: text({
    area: 'process',
    default: '127.0.0.1',
    doc: 'Address to listen on. `0.0.0.0` or `::` opens it to the network: put TLS in front.',
  }),
  PUBLIC_URL: optionalUrl({
    area: 'process',
    protocols: ['http:', 'https:'],
    doc: 'Where browsers reach this server when a proxy stands in front, e.g. `https://waxwing.example.com`. With https, session cookies are secure and browsers are told to stay with https. Twilio gets it as the address for the statuses of each message.',
  }),
  TRUST_PROXY: optionalText({
    area: 'process',
    pattern: {
      test: /^(\d{1,2}|[0-9a-fA-F.:/]+|loopback|linklocal|uniquelocal)( *, *([0-9a-fA-F.:/]+|loopback|linklocal|uniquelocal))*$/,
      words: 'the number of proxies in front, or their addresses with commas between them',
    },
    doc: "Whose `X-Forwarded-For`, `-Proto` and `-Host` are believed: a number of proxies, or addresses (`10.0.0.0/8, loopback`). Unset: nobody's, so that nobody can choose the address by which tries are counted.",
  }),
  LOG_LEVEL: choice({
    area: 'process',
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    doc: 'Least level that is logged.',
  }),
  WAXWING_ROLE: choice({
    area: 'process',
    default: 'all',
    choices: ['web', 'worker', 'all'],
    doc: 'What this process does: accept (web), send (worker), or both. `--role` wins.',
  }),
  SHUTDOWN_GRACE_MS: integer({
    area: 'process',
    default: 25_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    doc: 'After SIGTERM or SIGINT: the longest time to finish what is in flight, SHUTDOWN_DRAIN_MS within it. Below the 30 s after which most platforms kill.',
  }),
  SHUTDOWN_DRAIN_MS: integer({
    area: 'process',
    default: 5000,
    min: 0,
    max: 300_000,
    unit: 'ms',
    doc: 'After SIGTERM or SIGINT a web process answers 503 at `/ready` and serves everything else for this long before it closes, so that a load balancer can send its callers elsewhere first: more than its interval times the failures that it waits for. At most half of SHUTDOWN_GRACE_MS. Without effect where nobody asks for `/ready` again and again.',
  }),

  WAXWING_DATA_DIR: text({
    area: 'data',
    default: '.waxwing',
    doc: 'Folder for the embedded Redis and PostgreSQL and for keys that were made. Relative to the working folder.',
  }),
  REDIS_URL: optionalUrl({
    area: 'data',
    protocols: ['redis:', 'rediss:'],
    secret: true,
    doc: 'Redis (7.0 or newer) or Valkey for the queues, e.g. `redis://:password@host:6379/1`. Must not evict and must fsync. Unset, with REDIS_HOST unset too: an own Redis is started.',
  }),
  REDIS_HOST: optionalText({
    area: 'data',
    doc: 'Host of Redis, instead of REDIS_URL.',
  }),
  REDIS_PORT: optionalInteger({
    area: 'data',
    min: 1,
    max: 65_535,
    doc: 'Port of Redis, with REDIS_HOST; 6379 when unset.',
  }),
  REDIS_PASSWORD: optionalText({
    area: 'data',
    secret: true,
    doc: 'Password of Redis, with REDIS_HOST, REDIS_CLUSTER_NODES or REDIS_SENTINELS.',
  }),
  REDIS_CLUSTER_NODES: nodes({
    area: 'data',
    countMax: 100,
    doc: 'Some nodes of a Redis Cluster for the queues, instead of REDIS_URL; the others are learnt from them. Needs CACHE_REDIS_URL, and SHARDS above 1 to use more than one master.',
  }),
  REDIS_SENTINELS: nodes({
    area: 'data',
    countMax: 100,
    doc: 'Sentinels that know the Redis of the queues, instead of REDIS_URL. Needs CACHE_REDIS_URL.',
  }),
  REDIS_SENTINEL_NAME: text({
    area: 'data',
    default: 'mymaster',
    doc: 'Name of the master as REDIS_SENTINELS know it.',
  }),
  REDIS_TLS: toggle({
    area: 'data',
    default: false,
    doc: 'Speak TLS to the nodes of REDIS_CLUSTER_NODES or REDIS_SENTINELS. An address says it by itself: `rediss://`.',
  }),
  REDIS_DB: integer({
    area: 'data',
    default: 0,
    min: 0,
    max: 1023,
    doc: 'Database number that belongs to caches; the queues stay out of it.',
  }),
  REDIS_QUEUE_DB: integer({
    area: 'data',
    default: 1,
    min: 0,
    max: 1023,
    doc: 'Database number of the queues. A database in REDIS_URL wins.',
  }),
  REDIS_SERVER_BIN: optionalText({
    area: 'data',
    doc: 'The redis-server or valkey-server program of the embedded Redis; found by itself when unset.',
  }),
  DATABASE_URL: optionalUrl({
    area: 'data',
    protocols: ['postgres:', 'postgresql:'],
    secret: true,
    doc: 'PostgreSQL 14 or newer for the record; `?connection_limit=` and `?pool_timeout=` (seconds) are understood. Unset: an own PostgreSQL is started.',
  }),
  SHARDS: integer({
    area: 'data',
    default: 1,
    min: 1,
    max: 256,
    doc: 'Parts into which senders are spread on the queue Redis. A sender keeps the shard it was created in; never make it smaller.',
  }),
  ACCEPT_DURABILITY: choice({
    area: 'data',
    default: 'disk',
    choices: ['disk', 'replica', 'memory'],
    doc: 'What a 2xx means: on disk; on disk and on a replica; or in memory only, which a crash of Redis loses.',
  }),

  WAXWING_API_KEY: optionalText({
    area: 'keys',
    secret: true,
    pattern: { test: /^[\x21-\x7e]{8,512}$/, words: '8 … 512 visible ASCII characters without spaces' },
    doc: "Platform key of the product's own backend. Made, stored in the data folder and printed once when unset. At least 32 random characters are wise.",
  }),
  JWT_SECRET: optionalText({
    area: 'keys',
    secret: true,
    pattern: { test: /^.{8,4096}$/s, words: '8 … 4,096 characters' },
    doc: 'Signs and checks the JWTs of `/admin` (HS256). Made and stored when unset. At least 32 random characters are wise: a token lets anyone guess at it offline.',
  }),
  JWT_AUDIENCE: optionalText({ area: 'keys', doc: 'When set, a JWT must carry it as `aud`.' }),
  JWT_JWKS_URL: optionalUrl({
    area: 'keys',
    protocols: ['https:', 'http:'],
    doc: 'Public keys (JWKS) of your identity provider: its JWTs with RS256 or ES256 and a claim `role` are taken, too. Set JWT_AUDIENCE and JWT_ISSUER with it.',
  }),
  JWT_ISSUER: optionalText({ area: 'keys', doc: 'When set, a JWT must carry it as `iss`.' }),
  WAXWING_SECRET_KEY: optionalText({
    area: 'keys',
    secret: true,
    pattern: { test: /^.{16,4096}$/s, words: '16 … 4,096 characters' },
    doc: "Encrypts stored credentials and signs the tags by which status webhooks are recognised. Made and stored when unset; the same on every process. Lost, stored senders' credentials must be entered again.",
  }),
  WAXWING_SECRET_KEY_PREVIOUS: texts({
    area: 'keys',
    secret: true,
    countMax: 5,
    pattern: { test: /^[^,]{16,4096}$/s, words: '16 … 4,096 characters without a comma' },
    doc: 'Earlier values of WAXWING_SECRET_KEY, while it is changed: they still open what they sealed. `waxwing secrets rotate` seals everything anew; then leave this out.',
  }),

  WHATSAPP_API_URL: url({
    area: 'cloud',
    default: 'https://graph.facebook.com/v23.0',
    protocols: ['https:', 'http:'],
    doc: 'Base address of the Cloud API, with the version in it. Point it at `waxwing emulate` to try things out.',
  }),
  WHATSAPP_PHONE_NUMBER_ID: optionalText({
    area: 'cloud',
    pattern: { test: /^[0-9A-Za-z_-]{1,64}$/, words: 'a phone number id (digits), not a phone number' },
    doc: 'Phone number id (not the phone number) of the sender `default`.',
  }),
  WHATSAPP_ACCESS_TOKEN: optionalText({
    area: 'cloud',
    secret: true,
    pattern: { test: /^[\x21-\x7e]{1,4096}$/, words: 'a token without spaces' },
    doc: 'Access token of the sender `default`: a system user token with whatsapp_business_messaging.',
  }),
  WHATSAPP_APP_SECRET: optionalText({
    area: 'cloud',
    secret: true,
    doc: 'App secret: checks the signature of webhooks. Without one, on the sender or here, webhooks are refused.',
  }),
  WHATSAPP_VERIFY_TOKEN: optionalText({
    area: 'cloud',
    secret: true,
    doc: "Word that you also type into Meta's webhook form; it answers the verification call.",
  }),
  WHATSAPP_BUSINESS_ACCOUNT_ID: optionalText({
    area: 'cloud',
    pattern: { test: /^[0-9A-Za-z_-]{1,64}$/, words: 'a WhatsApp business account id (digits)' },
    doc: 'WhatsApp business account of the sender `default`; senders of one account share its limits.',
  }),

  DANGEROUSLY_ALLOW_VOLATILE_QUEUE: toggle({
    area: 'dangerous',
    default: false,
    doc: 'Start although the queue Redis may evict keys or does not fsync. Accepted messages can then be lost.',
  }),
} as const;
