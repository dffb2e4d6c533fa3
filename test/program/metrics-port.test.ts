import pino from 'pino';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/index.ts';
import { type Program, type Role, startProgram } from '../../src/program/start-program.ts';
import { dataFolder } from '../cli/harness.ts';
import { testDatabase, testRedis } from '../support/services.ts';

const KEY = 'platform-key-of-these-tests';

let redisUrl: string;
let databaseUrl: string;
let program: Program | undefined;
beforeAll(async () => {
  redisUrl = `${(await testRedis()).url}/1`;
  databaseUrl = (await testDatabase()).url;
});
afterEach(async () => {
  await program?.stop();
  program = undefined;
});

async function start(role: Role, settings: Record<string, string>): Promise<Program> {
  const loaded = loadConfig(
    {
      ...{ REDIS_URL: redisUrl, DATABASE_URL: databaseUrl, PORT: '0', WAXWING_API_KEY: KEY },
      JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
      WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
      ...settings,
    },
    dataFolder(),
  );
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  program = await startProgram(loaded.config, role, pino({ level: 'silent' }));
  return program;
}

async function statusOf(url: string | undefined, path: string, key?: string): Promise<number> {
  const answer = await fetch(
    `${url ?? ''}${path}`,
    key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
  );
  const text = await answer.text();
  if (path === '/metrics' && answer.ok) expect(text).toMatch(/^# TYPE waxwing_/m);
  return answer.status;
}

describe('METRICS_PORT and METRICS_OPEN', () => {
  test.each<Role>(['web', 'all'])(
    'R9 · role %s: figures are open at METRICS_PORT alone, and PORT wants a key',
    async (role) => {
      const { server, metricsServer } = await start(role, { METRICS_PORT: '0', METRICS_OPEN: 'true' });
      expect(await statusOf(metricsServer?.url, '/metrics')).toBe(200);
      expect(await statusOf(metricsServer?.url, '/health')).toBe(200);
      expect(await statusOf(metricsServer?.url, '/ready')).toBe(200);
      expect(await statusOf(metricsServer?.url, '/v1/messages', KEY)).toBe(404);
      expect(await statusOf(server?.url, '/metrics')).toBe(401);
      expect(await statusOf(server?.url, '/metrics', KEY)).toBe(200);
    },
  );

  test('R9 · a worker listens at METRICS_PORT only, and without METRICS_OPEN it wants a key, too', async () => {
    const { server, metricsServer } = await start('worker', { METRICS_PORT: '0' });
    expect(server).toBeNull();
    expect(await statusOf(metricsServer?.url, '/metrics')).toBe(401);
    expect(await statusOf(metricsServer?.url, '/metrics', KEY)).toBe(200);
  });

  test('R9 · without METRICS_PORT there is one port, which METRICS_OPEN opens; stopping ends both', async () => {
    const one = await start('web', { METRICS_OPEN: 'true' });
    expect(one.metricsServer).toBeNull();
    expect(await statusOf(one.server?.url, '/metrics')).toBe(200);
    await one.stop();
    const both = await start('web', { METRICS_PORT: '0' });
    await both.stop();
    for (const server of [both.server, both.metricsServer])
      await expect(fetch(`${server?.url ?? ''}/health`)).rejects.toThrow();
  });

  test('R9 · a METRICS_PORT that is taken is named as such', async () => {
    const first = await start('web', { METRICS_PORT: '0' });
    const port = String(first.metricsServer?.port);
    await expect(start('web', { METRICS_PORT: port })).rejects.toThrow(/set METRICS_PORT to a free one/);
  });

  test('R9 · METRICS_OPEN without METRICS_PORT is warned of where others may reach PORT', () => {
    const warned = (env: Record<string, string>) =>
      loadConfig({ METRICS_OPEN: 'true', ...env }, dataFolder()).warnings.map(({ key }) => key);
    expect(warned({ HOST: '0.0.0.0' })).toEqual(['METRICS_OPEN']);
    expect(warned({ HOST: '0.0.0.0', METRICS_PORT: '9464' })).toEqual([]);
    expect(warned({})).toEqual([]);
  });
});
