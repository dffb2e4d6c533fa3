import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, onTestFinished, test } from 'vitest';
import { startEmbedded, type EmbeddedServices, type StartEmbeddedOptions } from '../../src/embedded/index.ts';
import { identify } from '../../src/embedded/process-identity.ts';
import { eventually } from '../support/eventually.ts';
import { sql as sqlOn } from '../support/postgres.ts';
import { dataFolder, startOwner, usedDataFolder } from './owners.ts';

async function redis<T>(url: string | undefined, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url ?? '', { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  client.on('error', () => undefined);
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

async function sql(url: string | undefined, statement: string): Promise<unknown[]> {
  const rows = await sqlOn<Record<string, unknown>>(url ?? '', statement);
  return rows.map((row) => Object.values(row)[0]);
}

async function start(options: Partial<StartEmbeddedOptions> & { dataDir: string }): Promise<EmbeddedServices> {
  const services = await startEmbedded({ redis: true, postgres: true, ...options });
  onTestFinished(() => services.stop());
  return services;
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;

test('the Redis program of the settings is asked for first, wherever the settings come from', async () => {
  const said: string[] = [];
  const redisProgram = '/nowhere/redis-server';
  await start({ dataDir: dataFolder(), postgres: false, redisProgram, onLog: (sentence) => said.push(sentence) });
  expect(said.join()).toContain(`REDIS_SERVER_BIN cannot be used: ${redisProgram}`);
});

test('starts both servers under folders closed to others, durable, on loopback, with passwords', async () => {
  const dataDir = dataFolder();
  const { redisUrl, databaseUrl } = await start({ dataDir });
  const settings: Record<string, string> = {};
  for (const name of ['appendonly', 'appendfsync', 'maxmemory-policy', 'save', 'bind', 'dir', 'databases']) {
    const [, value] = (await redis(redisUrl, (client) => client.config('GET', name))) as [string, string];
    settings[name] = value;
  }
  expect(settings).toEqual({
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    save: '',
    bind: '127.0.0.1',
    dir: join(dataDir, 'redis'),
    databases: '16',
  });
  expect(await sql(databaseUrl, 'show fsync')).toEqual(['on']);
  expect(await sql(databaseUrl, 'show listen_addresses')).toEqual(['127.0.0.1']);
  expect(await sql(databaseUrl, 'select current_database()')).toEqual(['waxwing']);

  const withoutPassword = (url: string | undefined): string => {
    const bare = new URL(url ?? '');
    bare.password = '';
    return bare.href;
  };
  await expect(redis(withoutPassword(redisUrl), (client) => client.get('a'))).rejects.toThrow();
  await expect(sql(withoutPassword(databaseUrl), 'select 1')).rejects.toThrow(/password/);

  expect(modeOf(dataDir)).toBe(0o700);
  expect(modeOf(join(dataDir, 'redis'))).toBe(0o700);
  expect(modeOf(join(dataDir, 'redis/password'))).toBe(0o600);
  expect(readFileSync(join(dataDir, '.gitignore'), 'utf8').trim()).toBe('*');
});

test('keeps data, ports and passwords over an orderly stop, which ends both servers', async () => {
  const dataDir = await usedDataFolder();
  const first = await start({ dataDir });
  await redis(first.redisUrl, (client) => client.set('kept', 'yes'));
  await sql(first.databaseUrl, "create table kept as select 'yes' as value");
  const { redis: redisPid, postgres: postgresPid } = first.pids;
  await Promise.all([first.stop(), first.stop()]);
  expect([identify(redisPid ?? 0), identify(postgresPid ?? 0)]).toEqual([undefined, undefined]);

  const second = await start({ dataDir });
  expect([second.redisUrl, second.databaseUrl]).toEqual([first.redisUrl, first.databaseUrl]);
  expect(await redis(second.redisUrl, (client) => client.get('kept'))).toBe('yes');
  expect(await sql(second.databaseUrl, 'select value from kept')).toEqual(['yes']);
});

test('starts only what is asked for, and nothing on no data folder when nothing is', async () => {
  const only = await start({ dataDir: dataFolder(), postgres: false });
  expect(only.databaseUrl).toBeUndefined();
  expect(await redis(only.redisUrl, (client) => client.ping())).toBe('PONG');
  const none = await start({ dataDir: '/dev/null/nowhere', redis: false, postgres: false });
  expect([none.redisUrl, none.databaseUrl]).toEqual([undefined, undefined]);
});

test('refuses a data folder that cannot be written with a sentence that names the setting', async () => {
  await expect(startEmbedded({ dataDir: '/dev/null/nowhere', redis: true, postgres: false })).rejects.toMatchObject({
    code: 'DATA_FOLDER_UNUSABLE',
    message: expect.stringContaining('WAXWING_DATA_DIR') as string,
  });
});

test('one program per data folder: the second gets a sentence that names the process of the first', async () => {
  const dataDir = dataFolder();
  const owner = await startOwner(dataDir);
  await expect(startEmbedded({ dataDir, redis: true, postgres: false })).rejects.toMatchObject({
    code: 'DATA_FOLDER_BUSY',
    message: expect.stringContaining(`process ${owner.child.pid ?? ''}`) as string,
  });
  expect(await redis(owner.answer.redisUrl, (client) => client.ping())).toBe('PONG');
});

test('of programs that start in the same moment exactly one gets the data folder', async () => {
  const dataDir = dataFolder();
  const owners = await Promise.all([1, 2, 3, 4].map(() => startOwner(dataDir)));
  expect(owners.filter(({ answer }) => answer.redisUrl !== undefined)).toHaveLength(1);
  for (const { answer } of owners) expect(answer.redisUrl ?? answer.error).toMatch(/redis:\/\/|is in use by process/);
});

test('after SIGKILL of the owner the next start ends both servers that it left, and keeps what they had', async () => {
  const dataDir = await usedDataFolder();
  const owner = await startOwner(dataDir, 'both');
  await redis(owner.answer.redisUrl, (client) => client.set('kept', 'yes'));
  await sql(owner.answer.databaseUrl, "create table kept as select 'yes' as value");
  await owner.end('SIGKILL');
  expect(identify(owner.answer.pids?.redis ?? 0)).toBeDefined();

  const next = await start({ dataDir });
  expect(identify(owner.answer.pids?.redis ?? 0)).toBeUndefined();
  expect(identify(owner.answer.pids?.postgres ?? 0)).toBeUndefined();
  expect(await redis(next.redisUrl, (client) => client.get('kept'))).toBe('yes');
  expect(await sql(next.databaseUrl, 'select value from kept')).toEqual(['yes']);
});

test.runIf(process.platform === 'linux')(
  'a server whose owner died before it wrote a record is found and ended',
  async () => {
    const dataDir = dataFolder();
    const owner = await startOwner(dataDir);
    await owner.end('SIGKILL');
    writeFileSync(join(dataDir, 'redis/server.json'), '{"half');
    const next = await start({ dataDir, postgres: false });
    expect(identify(owner.answer.pids?.redis ?? 0)).toBeUndefined();
    expect(await redis(next.redisUrl, (client) => client.ping())).toBe('PONG');
  },
);

test('a record and a postmaster.pid whose number now belongs to another process end nobody and block nothing', async () => {
  const dataDir = await usedDataFolder();
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', 'redis postgres'], {
    stdio: 'ignore',
  });
  onTestFinished(() => void stranger.kill());
  const pid = stranger.pid ?? 0;
  const record = JSON.stringify({ process: { pid, startedAt: 'another boot:1' }, port: 1 });
  writeFileSync(join(dataDir, 'redis/server.json'), record);
  writeFileSync(join(dataDir, 'postgres/server.json'), record);
  writeFileSync(join(dataDir, 'postgres/data/postmaster.pid'), `${pid}\n`, { flag: 'a' });

  const second = await start({ dataDir });
  expect(stranger.exitCode).toBeNull();
  expect(identify(pid)).toBeDefined();
  expect(await sql(second.databaseUrl, 'select 1')).toEqual([1]);
});

test.each(['redis', 'postgres'] as const)(
  '%s that is killed comes back on the same address with its data',
  async (name) => {
    const events: string[] = [];
    const log: string[] = [];
    const services = await start({
      dataDir: dataFolder(),
      redis: name === 'redis',
      postgres: name === 'postgres',
      onEvent: (server, event, sentence = '') => {
        events.push(`${server} ${event.kind}`);
        log.push(sentence);
      },
    });
    if (name === 'redis') await redis(services.redisUrl, (client) => client.set('kept', 'yes'));
    else await sql(services.databaseUrl, "create table kept as select 'yes' as value");
    const before = services.pids[name] ?? 0;
    process.kill(before, 'SIGKILL');
    await eventually(() => events.includes(`${name} restarted`), { timeoutMs: 15_000 });
    expect(services.pids[name]).not.toBe(before);
    if (name === 'redis') expect(await redis(services.redisUrl, (client) => client.get('kept'))).toBe('yes');
    else expect(await sql(services.databaseUrl, 'select value from kept')).toEqual(['yes']);
    expect(log.join('\n')).toMatch(/ended unexpectedly \(signal SIGKILL\).*\n(.*\n)*.*is running again/);
  },
);

test('an owner that exits without stopping them ends its servers', async () => {
  const owner = await startOwner(await usedDataFolder(), 'both', 'exit');
  const { redis: redisPid = 0, postgres: postgresPid = 0 } = owner.answer.pids ?? {};
  await eventually(() => identify(redisPid) === undefined && identify(postgresPid) === undefined, {
    timeoutMs: 10_000,
  });
});

test('a folder that a killed start left half made is made anew', async () => {
  const dataDir = dataFolder();
  mkdirSync(join(dataDir, 'postgres/data.new/base'), { recursive: true });
  writeFileSync(join(dataDir, 'postgres/data.new/PG_VERSION'), '18\n');
  const { databaseUrl } = await start({ dataDir, redis: false });
  expect(await sql(databaseUrl, 'select 1')).toEqual([1]);
});
