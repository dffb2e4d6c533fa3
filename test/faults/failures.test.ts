import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import { signJwt } from '../../src/http/index.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';
import { sql } from '../support/postgres.ts';
import { API_KEY, Program } from './harness/program.ts';
import { scaled } from './harness/settings.ts';

/* Slow retries and redrives while the program is killed; the emulator's ledger is the judge. */

const JWT_SECRET = 'fault-test-jwt-secret-of-thirty-two-letters';

test('F02-failures · deferred messages and redrives through kill -9 and two retry workers: none lost, none twice', async () => {
  const [redis, database, emulator] = await Promise.all([testRedis(), testDatabase(), startEmulator()]);
  const settings = {
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
    WAXWING_DATA_DIR: mkdtempSync(join(inject('waxwingRunFolder'), 'data-')),
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    WAXWING_API_KEY: API_KEY,
    JWT_SECRET,
    WAXWING_SECRET_KEY: 'fault-test-secret-key-of-thirty-two-letters',
    WHATSAPP_API_URL: emulator.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: '100000000000001',
    WHATSAPP_ACCESS_TOKEN: 'token',
    WHATSAPP_RATE_LIMIT_MS: '0',
    PAIR_BUCKET_CAPACITY: '0',
    AMBIGUOUS_WAIT_MS: '2000',
    PROVIDER_TIMEOUT_MS: '2000',
    QUEUE_RETRY_ATTEMPTS: '1',
    RETRY_SCHEDULE_SECONDS: '20',
    WHATSAPP_RETRY_INTERVAL_MS: '500',
    CIRCUIT_BREAKER_THRESHOLD: '10000',
    TENANT_CONCURRENCY: '20',
  };
  const running: Program[] = [];
  const start = async () => {
    const program = await Program.start('all', settings);
    running.push(program);
    return program;
  };
  const post = async (url: string, path: string, body: unknown) => {
    const jwt = { secret: JWT_SECRET, audience: undefined, issuer: undefined };
    const key = path.startsWith('/admin') ? await signJwt({ role: 'operator', name: 'ada' }, jwt) : API_KEY;
    const response = await fetch(`${url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, unknown>;
  };
  try {
    let [first, second] = await Promise.all([start(), start()]);
    emulator.addRule({ id: 'later', match: { textIncludes: 'later' }, action: { kind: 'error', code: 131000 } });
    emulator.addRule({ id: 'never', match: { textIncludes: 'never' }, action: { kind: 'error', code: 131026 } });
    const count = scaled(200, 20);
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const body = n % 2 === 0 ? 'later' : 'never';
      const to = `+44794${String(6_000_000 + n)}`;
      ids.push(String((await post(first.url, '/v1/messages', { to, type: 'text', text: { body } }))['id']));
    }
    const countOf = async (condition: string) => {
      const [row] = await sql<{ n: number }>(
        database.url,
        `select count(*)::integer as n from whatsapp_delivery_failures where ${condition}`,
      );
      return row?.n ?? 0;
    };
    await eventually(
      async () => (await countOf(`status = 'PENDING'`)) + (await countOf(`status = 'FAILED'`)) >= count,
      {
        timeoutMs: 60_000,
      },
    );
    emulator.removeRule('later');
    emulator.removeRule('never');
    // Both ask for the same at once, and both die over it; whoever comes after asks again.
    const redrive = (url: string) =>
      post(url, '/admin/dead-letters/redrive', { filter: { code: '131026' } }).catch(() => undefined);
    const asked = [redrive(first.url), redrive(second.url)];
    await eventually(() => emulator.ledger().some(({ taken }) => taken), { timeoutMs: 30_000 });
    await Promise.all([first.kill(), second.kill()]);
    await Promise.all(asked);
    [first, second] = await Promise.all([start(), start()]);
    let askedAtMs = 0;
    await eventually(
      async () => {
        if (performance.now() - askedAtMs > 500) {
          await redrive(first.url);
          askedAtMs = performance.now();
        }
        return (await countOf(`status = 'RESOLVED'`)) >= count;
      },
      { timeoutMs: 120_000 },
    );
    const times = ids.map((id) => emulator.ledger().filter(({ tag, taken }) => taken && tag?.includes(id) === true));
    expect(times.filter((calls) => calls.length === 0)).toEqual([]);
    // Only what was on its way when its worker was killed may arrive twice: no more than may be in flight.
    const twice = times.filter((calls) => calls.length > 1);
    expect(twice.every((calls) => calls.length === 2)).toBe(true);
    expect(twice.length).toBeLessThanOrEqual(Number(settings.TENANT_CONCURRENCY));
    console.log(`F02-failures: ${count} messages, ${twice.length} of them twice`);
  } finally {
    await Promise.all(running.filter(({ hasEnded }) => !hasEnded).map((program) => program.kill()));
    await emulator.stop();
  }
}, 300_000);
