import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import pino from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { DUE } from '../../src/cache/keys.ts';
import { loadConfig } from '../../src/config/index.ts';
import { startProgram } from '../../src/program/start-program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

const KEY = 'platform-key-of-these-tests';

it(
  'C4 · what a process recorded shows on the dashboards of the others although it was killed at once',
  { timeout: 60_000 },
  async () => {
    const server = await testRedis();
    const { url: databaseUrl } = await testDatabase();
    const settings = {
      REDIS_URL: `${server.url}/1`,
      DATABASE_URL: databaseUrl,
      WAXWING_API_KEY: KEY,
      WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
      JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
      WHATSAPP_PHONE_NUMBER_ID: '1000',
      WHATSAPP_ACCESS_TOKEN: 'token',
      WHATSAPP_APP_SECRET: 'app-secret',
      PORT: '0',
    };
    const script = join(import.meta.dirname, 'processes/web.ts');
    // It is the first, so it holds the recorder's lock; the other one stands by.
    const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    const writer = said.toString().trim();
    const call = async (url: string, path: string, body?: object) => {
      const answer = await fetch(`${url}${path}`, {
        headers: { authorization: `Bearer ${KEY}`, ...(body && { 'content-type': 'application/json' }) },
        ...(body && { method: 'POST', body: JSON.stringify(body) }),
      });
      return (await answer.json()) as { items: unknown[]; messages: { total: number } };
    };
    const message = { tenant: 'salon1', to: '+4915112345678', type: 'text', text: { body: 'Hello' } };
    const recorded = (count: number) =>
      eventually(
        async () => (expect((await call(writer, '/v1/messages?tenant=salon1')).items).toHaveLength(count), true),
        { timeoutMs: 10_000 },
      );
    await call(writer, '/v1/messages', message);
    await recorded(1);

    const loaded = loadConfig(settings, '/nonexistent');
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const other = await startProgram(loaded.config, 'web', pino({ level: 'silent' }));
    onTestFinished(() => other.stop());
    const shows = (total: number) =>
      eventually(
        async () => {
          const { messages } = await call(other.server?.url ?? '', '/v1/stats?tenant=salon1');
          return (expect(messages.total).toBe(total), true);
        },
        { timeoutMs: 8_000 },
      );
    const redis = new Redis(server.url);
    onTestFinished(() => redis.disconnect());
    await shows(1);
    await eventually(async () => (expect(await redis.zcard(DUE)).toBe(0), true), { timeoutMs: 8_000 });

    await call(writer, '/v1/messages', message);
    await shows(2);
    // Within the second: what shows it is not evicted yet.
    await call(writer, '/v1/messages', message);
    await recorded(3);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await shows(3);
  },
);
