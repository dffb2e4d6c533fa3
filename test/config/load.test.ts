import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { formatProblems, loadConfig, printConfig, type Config, type ConfigProblem } from '../../src/config/index.ts';
import { camelCase, SETTINGS } from '../../src/config/catalogue.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'waxwing-config-'));
});
afterEach(async () => {
  await rm(cwd, { recursive: true });
});

function good(env: Record<string, string>): Config {
  const result = loadConfig(env, cwd);
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.config;
}
function bad(env: Record<string, string>): readonly ConfigProblem[] {
  const result = loadConfig(env, cwd);
  if (result.ok) throw new Error('expected problems');
  return result.problems;
}
const keys = (problems: readonly ConfigProblem[]) => problems.map((one) => one.key);
const warnings = (env: Record<string, string>) => loadConfig(env, cwd).warnings.map((one) => one.key);

describe('loadConfig()', () => {
  test('gives the defaults of the contract when the environment is empty', () => {
    const config = good({});
    expect(config).toMatchObject({
      port: 3000,
      host: '127.0.0.1',
      waxwingRole: 'all',
      redisUrl: undefined,
      queueRedisUrl: undefined,
      queueServers: undefined,
      databaseUrl: undefined,
      shards: 1,
      acceptDurability: 'disk',
      tenantAutoCreate: true,
      tenantConcurrency: 5,
      tenantBacklogMax: 1_000_000,
      senderConcurrency: 20,
      senderRatePerSecond: 80,
      senderBurst: 1,
      whatsappRateLimitMs: 2000,
      pairBucketCapacity: 45,
      pairBucketRefillPerSecond: 0.1667,
      queueRetryAttempts: 3,
      queueBackoffDelay: 2000,
      retryScheduleSeconds: [60, 300, 900, 1800, 3600],
      onDefer: 'skip',
      ambiguousWaitMs: 30_000,
      onAmbiguous: 'reconcile',
      waStreamClaimIdleMs: 15_000,
      waStreamReadCount: 25, // 10 in the contract: decision 41
      waStreamBlockMs: 5000,
      workerConcurrency: 200,
      whatsappApiUrl: 'https://graph.facebook.com/v23.0',
      dangerouslyAllowVolatileQueue: false,
    });
    expect(config.waxwingDataDir).toBe(join(cwd, '.waxwing'));
  });

  test('gives every setting of the catalogue a place in the config', () => {
    expect(Object.keys(good({}))).toEqual(expect.arrayContaining(Object.keys(SETTINGS).map(camelCase)));
  });

  test('freezes the config and the lists in it', () => {
    const config = good({ RETRY_SCHEDULE_SECONDS: '1, 2' });
    expect(config.retryScheduleSeconds).toEqual([1, 2]);
    expect(() => Object.assign(config, { port: 1 })).toThrow(TypeError);
    expect(() => (config.retryScheduleSeconds as number[]).push(3)).toThrow(TypeError);
    expect(() => (good({}).retryScheduleSeconds as number[]).push(3)).toThrow(TypeError);
  });

  test('lists every problem at once, each with its name, what was expected and what was there', () => {
    const problems = bad({
      PORT: '70000',
      SENDER_BURST: '0',
      ACCEPT_DURABILITY: 'tape',
      TENANT_AUTO_CREATE: 'perhaps',
      RETRY_SCHEDULE_SECONDS: '60,,5',
      REDIS_URL: 'http://x',
    });
    expect(keys(problems).sort()).toEqual(
      ['ACCEPT_DURABILITY', 'PORT', 'REDIS_URL', 'RETRY_SCHEDULE_SECONDS', 'SENDER_BURST', 'TENANT_AUTO_CREATE'].sort(),
    );
    expect(problems.find((one) => one.key === 'PORT')).toEqual({
      key: 'PORT',
      expected: 'a whole number, 0 … 65,535',
      got: '70000',
    });
    expect(formatProblems(problems)).toContain('6 settings are wrong');
  });

  test.each(['0x10', '1e999', 'Infinity', 'NaN', '12abc', '1.5', '-1', '１２'])(
    'refuses %s as a whole number',
    (value) => {
      expect(keys(bad({ TENANT_CONCURRENCY: value }))).toEqual(['TENANT_CONCURRENCY']);
    },
  );

  test('takes an empty value as unset', () => {
    expect(good({ PORT: '', HOST: '  ' })).toMatchObject({ port: 3000, host: '127.0.0.1' });
  });

  test('reads .env, and the real environment wins', async () => {
    await writeFile(join(cwd, '.env'), '\uFEFFPORT=4000\nHOST="0.0.0.0"\n# remark\nLOG_LEVEL=debug\n');
    expect(good({ PORT: '5000', HOST: '' })).toMatchObject({ port: 5000, host: '0.0.0.0', logLevel: 'debug' });
  });

  test('never shows a secret that is wrong', () => {
    const problems = bad({ REDIS_URL: 'redis:/hunter2', WAXWING_API_KEY: 'hunter2 with spaces' });
    expect(formatProblems(problems)).not.toContain('hunter2');
  });
});

describe('names', () => {
  test.each([
    ['SENDER_RATE_PER_SECONDS', 'SENDER_RATE_PER_SECOND'],
    ['WHATSAPP_ACESS_TOKEN', 'WHATSAPP_ACCESS_TOKEN'],
    ['TENANT_CONCURENCY', 'TENANT_CONCURRENCY'],
  ])('refuses the misspelt %s and names %s', (wrong, right) => {
    const [problem] = bad({ [wrong]: '1' });
    expect(problem?.key).toBe(wrong);
    expect(problem?.expected).toContain(right);
  });

  test('leaves the rest of the environment alone', () => {
    const result = loadConfig(
      { PATH: '/bin', HOSTNAME: 'x', PORTS: '1', npm_config_x: 'y', REDIS_SERVICE_HOST: 'z' },
      cwd,
    );
    expect(result).toMatchObject({ ok: true, warnings: [] });
  });

  test('warns about a strange name in .env', async () => {
    await writeFile(join(cwd, '.env'), 'SOMETHING_ELSE=1\n');
    expect(warnings({})).toEqual(['SOMETHING_ELSE']);
  });

  test('refuses a share above the whole', () => {
    expect(keys(bad({ WHATSAPP_SEND_QUEUE_PERCENT: '101' }))).toEqual(['WHATSAPP_SEND_QUEUE_PERCENT']);
  });
});

test('Q8 · refuses a path for Bull Board that another page has', () => {
  for (const taken of ['/health', '/docs', '/v1/board', '/dashboard/queues', '/openapi.json', '/admin/events']) {
    expect(bad({ BULL_BOARD_PATH: taken }), taken).toMatchObject([{ key: 'BULL_BOARD_PATH' }]);
  }
  for (const free of ['/board', '/admin/board', '/admin/queues/board', '/docs-of-queues'])
    good({ BULL_BOARD_PATH: free });
});

describe('a Redis of several servers', () => {
  const CACHE = { CACHE_REDIS_URL: 'redis://cache:6379' };

  test('R10 · reads nodes of a cluster, which has one database', () => {
    const config = good({ ...CACHE, REDIS_CLUSTER_NODES: 'a:7000, [::1]:7001', REDIS_PASSWORD: 'pw', SHARDS: '16' });
    expect(config.queueServers).toEqual({
      clusterNodes: [
        { host: 'a', port: 7000 },
        { host: '::1', port: 7001 },
      ],
      password: 'pw',
      tls: false,
      db: 0,
    });
    expect(printConfig(config).find(({ name }) => name === 'REDIS_CLUSTER_NODES')?.value).toBe('a:7000,[::1]:7001');
  });

  test('R10 · reads sentinels and the name of their master', () => {
    const config = good({ ...CACHE, REDIS_SENTINELS: 's:26379', REDIS_SENTINEL_NAME: 'wx', REDIS_TLS: 'true' });
    expect(config.queueServers).toEqual({
      sentinels: [{ host: 's', port: 26_379 }],
      sentinelName: 'wx',
      tls: true,
      db: 1,
    });
  });

  test.each([
    [{ REDIS_CLUSTER_NODES: 'a:1', SHARDS: '2' }, ['CACHE_REDIS_URL']],
    [{ REDIS_SENTINELS: 'a:1' }, ['CACHE_REDIS_URL']],
    [{ ...CACHE, REDIS_CLUSTER_NODES: 'a', SHARDS: '2' }, ['REDIS_CLUSTER_NODES']],
    [{ ...CACHE, REDIS_CLUSTER_NODES: 'a:70000', SHARDS: '2' }, ['REDIS_CLUSTER_NODES']],
    [{ ...CACHE, REDIS_CLUSTER_NODES: 'a:1', SHARDS: '2', REDIS_URL: 'redis://b' }, ['REDIS_URL']],
    [{ ...CACHE, REDIS_CLUSTER_NODES: 'a:1', SHARDS: '2', REDIS_SENTINELS: 'a:1' }, ['REDIS_SENTINELS']],
  ])('refuses %j', (env, expected) => {
    expect(keys(bad(env))).toEqual(expected);
  });

  test('warns when a cluster is asked for and one master would have everything', () => {
    expect(warnings({ ...CACHE, REDIS_CLUSTER_NODES: 'a:1' })).toEqual(['SHARDS']);
    expect(warnings({ REDIS_SENTINEL_NAME: 'x' })).toEqual(['REDIS_SENTINEL_NAME']);
  });
});

describe('relations', () => {
  test.each([
    [{ WA_STREAM_CLAIM_IDLE_MS: '10000' }, 'WA_STREAM_CLAIM_IDLE_MS'],
    [{ PROVIDER_TIMEOUT_MS: '15000' }, 'WA_STREAM_CLAIM_IDLE_MS'],
    [{ PAIR_BUCKET_REFILL_PER_SECOND: '0' }, 'PAIR_BUCKET_REFILL_PER_SECOND'],
    [{ ACCEPT_DURABILITY: 'replica' }, 'ACCEPT_DURABILITY'],
    [{ WHATSAPP_PHONE_NUMBER_ID: '123' }, 'WHATSAPP_ACCESS_TOKEN'],
    [{ WHATSAPP_ACCESS_TOKEN: 'EAAG' }, 'WHATSAPP_PHONE_NUMBER_ID'],
    [{ WHATSAPP_API_URL: 'https://graph.facebook.com' }, 'WHATSAPP_API_URL'],
    [{ REDIS_PASSWORD: 'x' }, 'REDIS_HOST'],
    [{ REDIS_URL: 'redis://h/nodb' }, 'REDIS_URL'],
    [{ REDIS_URL: 'redis://h/2', REDIS_DB: '2' }, 'REDIS_DB'],
  ])('refuses %j', (env, key) => {
    expect(keys(bad(env))).toEqual([key]);
  });

  test('a relation is not reported beside a setting that is itself wrong', () => {
    expect(keys(bad({ WA_STREAM_CLAIM_IDLE_MS: 'soon' }))).toEqual(['WA_STREAM_CLAIM_IDLE_MS']);
  });

  test('warns that webhooks are refused without an app secret', () => {
    expect(warnings({ WHATSAPP_PHONE_NUMBER_ID: '123', WHATSAPP_ACCESS_TOKEN: 'EAAG' })).toEqual([
      'WHATSAPP_APP_SECRET',
    ]);
  });
});

describe('the queue Redis', () => {
  test.each([
    [{ REDIS_URL: 'redis://h:6379' }, 'redis://h:6379/1'],
    [{ REDIS_URL: 'redis://h:6379/' }, 'redis://h:6379/1'],
    [{ REDIS_URL: 'redis://h:6379/0' }, 'redis://h:6379/0'],
    [{ REDIS_URL: 'rediss://u:p%40@h/7', REDIS_QUEUE_DB: '3' }, 'rediss://u:p%40@h/7'],
    [{ REDIS_URL: 'redis://h', REDIS_QUEUE_DB: '3' }, 'redis://h/3'],
    [{ REDIS_HOST: 'h' }, 'redis://h:6379/1'],
    [{ REDIS_HOST: '::1', REDIS_PORT: '7000', REDIS_PASSWORD: 'a:b@c/' }, 'redis://:a%3Ab%40c%2F@[::1]:7000/1'],
  ])('%j gives %s', (env, url) => {
    expect(good(env).queueRedisUrl).toBe(url);
  });
});

describe('printConfig()', () => {
  test('shows every setting, and secrets only as ***', () => {
    const config = good({
      REDIS_URL: 'redis://:hunter2@h',
      DATABASE_URL: 'postgres://u:hunter2@h/d',
      WAXWING_API_KEY: 'hunter2hunter2hunter2',
      WHATSAPP_PHONE_NUMBER_ID: '1',
      WHATSAPP_ACCESS_TOKEN: 'hunter2',
      SHARDS: '4',
    });
    const printed = printConfig(config);
    expect(JSON.stringify(printed)).not.toContain('hunter2');
    expect(printed.map((one) => one.name)).toEqual(Object.keys(SETTINGS));
    expect(printed).toContainEqual({ name: 'SHARDS', value: '4', isDefault: false });
    expect(printed).toContainEqual({ name: 'WAXWING_API_KEY', value: '***', isDefault: false });
    expect(printed).toContainEqual({ name: 'JWT_SECRET', value: null, isDefault: true });
    expect(printed).toContainEqual({ name: 'WAXWING_SECRET_KEY_PREVIOUS', value: null, isDefault: true });
    expect(printed).toContainEqual({ name: 'WAXWING_DATA_DIR', value: join(cwd, '.waxwing'), isDefault: true });
  });
});
