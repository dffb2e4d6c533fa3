import { createHmac } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import { signJwt } from '../../src/http/index.ts';
import { Program } from '../faults/harness/program.ts';
import { cloudBody, cloudMessage } from '../inbound/support/cloud.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/*
 * F49 over the whole program: words, numbers and secrets are planted wherever they may be said, everything that can
 * fail is made to fail, and then the log (at its most talkative), the metrics, the problems and the alerts are searched.
 */

const PLANTED = {
  platformKey: 'planted-platform-key-of-thirty-two-letters',
  jwtSecret: 'planted-jwt-secret-of-thirty-two-letters!',
  secretKey: 'planted-secret-key-of-thirty-two-letters!',
  accessToken: 'EAAplantedaccesstokenoftheprovider',
  appSecret: 'plantedappsecret0123456789abcdef',
  text: 'Planted words of a person',
  inbound: 'Planted words that came in',
  metadata: 'planted metadata of the caller',
  outNumber: '4915112340001',
  inNumber: '4915112340002',
  badNumber: '4915112340003',
  name: 'Planted Person',
} as const;

test('F49 · secrets, texts, names and whole numbers are in no log, metric, problem or alert of the whole program', async () => {
  const [redis, database, emulator] = await Promise.all([testRedis(), testDatabase(), startEmulator()]);
  const program = await Program.start('all', {
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'trace',
    WAXWING_DATA_DIR: mkdtempSync(join(inject('waxwingRunFolder'), 'data-')),
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    WAXWING_API_KEY: PLANTED.platformKey,
    JWT_SECRET: PLANTED.jwtSecret,
    WAXWING_SECRET_KEY: PLANTED.secretKey,
    WHATSAPP_API_URL: emulator.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: '100000000000001',
    WHATSAPP_ACCESS_TOKEN: PLANTED.accessToken,
    WHATSAPP_APP_SECRET: PLANTED.appSecret,
    QUEUE_RETRY_ATTEMPTS: '1',
    RETRY_SCHEDULE_SECONDS: '',
    METRICS_TENANTS_MAX: '100',
  });
  const problems: string[] = [];
  const call = async (method: string, path: string, body?: unknown, key: string = PLANTED.platformKey) => {
    const response = await fetch(`${program.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.status >= 400) problems.push(text);
    return { status: response.status, text };
  };
  const message = (to: string, body: string = PLANTED.text) => ({
    to: `+${to}`,
    type: 'text',
    text: { body },
    metadata: { said: PLANTED.metadata },
  });
  emulator.addRule({ id: 'bad', match: { textIncludes: 'fails' }, action: { kind: 'error', code: 131026 } });
  emulator.addRule({ id: 'odd', match: { textIncludes: 'odd' }, action: { kind: 'error', code: 999_999 } });

  expect((await call('POST', '/v1/messages', message(PLANTED.outNumber))).status).toBe(202);
  await call('POST', '/v1/messages', message(PLANTED.outNumber, `${PLANTED.text} fails`));
  await call('POST', '/v1/messages', message(PLANTED.outNumber, `${PLANTED.text} odd`));
  await call('POST', '/api/whatsapp/send', { phoneNumber: `+${PLANTED.outNumber}`, text: PLANTED.text });
  // Everything that a caller can get wrong, with the planted words in it.
  await call('POST', '/v1/messages', { ...message(PLANTED.badNumber), surprise: PLANTED.text });
  await call('POST', '/v1/messages', message(`${PLANTED.badNumber}999999999`));
  await call('POST', '/v1/messages', `{"to":"+${PLANTED.badNumber}","text":"${PLANTED.text}`);
  await call('POST', '/v1/messages', message(PLANTED.badNumber), `wrong-${PLANTED.platformKey}`);
  await call('GET', `/v1/messages?to=${PLANTED.badNumber}&status=${encodeURIComponent(PLANTED.text)}`);
  await call('GET', `/v1/messages/${encodeURIComponent(PLANTED.text)}`);
  await call('POST', '/admin/dead-letters/redrive', { filter: { code: PLANTED.text } }, PLANTED.jwtSecret);
  // What people write: a good webhook, one with a wrong signature, one that is no webhook.
  const contact = { profile: { name: PLANTED.name }, wa_id: PLANTED.inNumber };
  const inbound = { from: PLANTED.inNumber, text: { body: PLANTED.inbound } };
  const webhook = cloudBody({ contacts: [contact], messages: [cloudMessage(inbound)] }, '100000000000001');
  const hear = async (body: string, secret: string): Promise<number> => {
    const signature = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
    const headers = { 'content-type': 'application/json', 'x-hub-signature-256': signature };
    const response = await fetch(`${program.url}/webhooks/whatsapp/cloud`, { method: 'POST', headers, body });
    const text = await response.text();
    if (response.status >= 400) problems.push(text);
    return response.status;
  };
  expect(await hear(webhook, PLANTED.appSecret)).toBe(200);
  expect(await hear(webhook, 'another secret')).toBe(401);
  await hear(`{"object":"${PLANTED.inbound}"`, PLANTED.appSecret);

  const token = await signJwt(
    { role: 'admin', name: 'ada' },
    { secret: PLANTED.jwtSecret, audience: undefined, issuer: undefined },
  );
  await eventually(
    async () => {
      const { text } = await call('GET', '/admin/failures/summary', undefined, token);
      return /131026/.test(text) && /999999/.test(text);
    },
    { timeoutMs: 30_000, what: 'the failures to be recorded' },
  );
  const heard = async () =>
    (await call('GET', '/v1/conversations')).text.includes('inbound') || emulator.ledger().length >= 4;
  await eventually(heard, { timeoutMs: 30_000 });
  const metrics = await call('GET', '/metrics');
  expect(metrics.status).toBe(200);
  const open = [
    metrics.text,
    (await call('GET', '/health')).text,
    (await call('GET', '/ready')).text,
    (await call('GET', '/admin/alerts', undefined, token)).text,
    (await call('GET', '/api/v1/queues/stats')).text,
    (await call('GET', '/api/workers/whatsapp')).text,
    (await call('GET', '/api/webhooks/whatsapp/health')).text,
    (await call('GET', '/api/cache/metrics')).text,
  ];
  // Redis and PostgreSQL go away under it: what it then says is the most talkative of all.
  await redis.kill('SIGSTOP');
  await call('POST', '/v1/messages', message(PLANTED.outNumber)).catch(() => undefined);
  await redis.kill('SIGCONT');
  await program.stop();
  await emulator.stop();
  const { output } = await program.ended;

  const places = { log: output, reports: open.join('\n'), problems: problems.join('\n') };
  expect(output.split('\n').length).toBeGreaterThan(10);
  expect(problems.length).toBeGreaterThan(8);
  const found = Object.entries(places).flatMap(([place, text]) =>
    Object.entries(PLANTED).flatMap(([what, words]) => (text.includes(words) ? [`${what} in the ${place}`] : [])),
  );
  console.log(
    `F49: ${Object.keys(PLANTED).length} planted, ${found.length} found in ${output.length} characters of log`,
  );
  expect(found).toEqual([]);
});
