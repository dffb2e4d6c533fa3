import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { inject } from 'vitest';
import { findRedis, type RedisBinary } from '../../src/embedded/redis-binary.ts';
import { startRedis, type RedisServer } from '../../src/embedded/redis-server.ts';
import { endProcess, identify, waitForEnd } from '../../src/embedded/process-identity.ts';
import { atFileEnd, isEnded, oncePerFile } from './file-end.ts';
import { sql } from './postgres.ts';
import { withDatabase, type TemplateAnswer } from './template-database.ts';

export { eventually } from './eventually.ts';

/*
 * Real servers for tests. Everything that a file starts here is stopped after the file, also when it forgets to; what
 * survives even that is ended by the run's teardown (global-setup.ts).
 */

export interface TestRedisOptions {
  /** Default `always`; `none` turns the append-only file off. */
  readonly fsync?: 'always' | 'everysec' | 'none';
  /** Redis' own notation, for example `64mb`. Default: no limit. */
  readonly maxMemory?: string;
  /** Any other settings by Redis' own names. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Of the running process; changes with `restart`. */
  readonly pid: number;
  /** Ends it in order and removes its data. */
  stop(): Promise<void>;
  /** Sends a signal; for one that ends it (not SIGSTOP, SIGCONT) resolves when it is gone. It stays down. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again (ends it first when it runs) on the same port and data, and resolves when it answers. */
  restart(): Promise<void>;
}

let binary: Promise<RedisBinary> | undefined;

/** Starts a Redis of its own in a temporary folder, AOF on and fsync always unless the options say otherwise. */
export async function testRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  binary ??= findRedis();
  const found = await binary;
  const run = inject('waxwingRunFolder');
  const folder = mkdtempSync(join(run, 'redis-'));
  const fsync = options.fsync ?? 'always';
  const settings: Record<string, string> = {
    ...(fsync === 'none' ? { appendonly: 'no' } : { appendfsync: fsync }),
    ...(options.maxMemory === undefined ? {} : { maxmemory: options.maxMemory }),
    ...options.settings,
  };
  const register = (pid: number): string => join(run, `server-${pid}.json`);
  const start = async (port?: number): Promise<RedisServer> => {
    const server = await startRedis({
      folder,
      binary: found,
      settings,
      isSupervised: false,
      ...(port === undefined ? {} : { port }),
    });
    writeFileSync(register(server.pid), JSON.stringify(identify(server.pid)));
    return server;
  };

  let server = await start();
  const { port, url } = server;
  const end = async (): Promise<void> => {
    const { pid } = server;
    // A stopped process (SIGSTOP) would only see the signal to end when it goes on.
    if (identify(pid) !== undefined) process.kill(pid, 'SIGCONT');
    await server.stop();
    rmSync(register(pid), { force: true });
  };
  const stop = async (): Promise<void> => {
    isEnded(stop);
    await end();
    rmSync(folder, { recursive: true, force: true });
  };
  atFileEnd(stop);

  return {
    url,
    port,
    get pid() {
      return server.pid;
    },
    stop,
    async kill(signal) {
      const identity = identify(server.pid);
      if (identity === undefined) return;
      process.kill(identity.pid, signal);
      if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
      if (!(await waitForEnd(identity, 10_000))) await endProcess(identity, 'SIGKILL', 5_000);
    },
    async restart() {
      await end();
      server = await start(port);
      if (server.port !== port) throw new Error(`Port ${port} was taken by another program during the restart.`);
    },
  };
}

/**
 * The URL of a Redis for this test file, empty at the first call. With `REDIS_URL` in the environment it is that
 * server with a database of this worker's own (1 to 15), else a private server. Pub/sub and functions are the whole
 * server's: a test that counts them needs `testRedis`.
 */
export const sharedRedisUrl = oncePerFile(async (): Promise<string> => {
  const given = process.env['REDIS_URL'];
  if (given === undefined || given === '') return (await testRedis()).url;
  const url = new URL(given);
  // Two files that run at the same time are in two workers, and each worker has its own number.
  url.pathname = `/${1 + ((Number(process.env['VITEST_POOL_ID'] ?? '1') - 1) % 15)}`;
  const client = new Redis(url.href, { maxRetriesPerRequest: 1 });
  try {
    await client.flushdb();
  } finally {
    client.disconnect();
  }
  return url.href;
});

/** A prefix or name part that no other test has: `t_` and twelve hexadecimal digits. */
export function freshName(): string {
  return `t_${randomBytes(6).toString('hex')}`;
}

let template: Promise<TemplateAnswer> | undefined;

function askDoorway(): Promise<TemplateAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: inject('waxwingDatabaseDoorway'), host: '127.0.0.1' });
    let text = '';
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    socket.on('end', () => {
      const answer = JSON.parse(text) as TemplateAnswer | { readonly error: string };
      if ('error' in answer) reject(new Error(`The test database cannot be had: ${answer.error}`));
      else resolve(answer);
    });
  });
}

export interface TestDatabase {
  readonly url: string;
  /** Drops it, also with connections open. */
  drop(): Promise<void>;
}

/** A migrated PostgreSQL database of its own; dropped after the file at the latest. */
export async function testDatabase(): Promise<TestDatabase> {
  template ??= askDoorway();
  const { adminUrl, template: from } = await template;
  const name = freshName();
  await sql(adminUrl, `create database ${name} template ${from}`);
  const drop = async (): Promise<void> => {
    isEnded(drop);
    await sql(adminUrl, `drop database if exists ${name} with (force)`);
  };
  atFileEnd(drop);
  return { url: withDatabase(adminUrl, name), drop };
}
