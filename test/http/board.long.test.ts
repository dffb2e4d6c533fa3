import type { Browser, Page } from 'playwright-core';
import { mkdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createQueueService, JobImpossible, type QueueService } from '../../src/jobs/index.ts';
import { startWorkers } from '../jobs/support.ts';
import { openBrowser } from '../support/browser.ts';
import { eventually, testRedis } from '../support/services.ts';
import { startApi, text, type Api, type Call } from './support/api.ts';

const PATH = '/admin/queues';
const PHONE = '+4915112345678';
let api: Api;
let queues: QueueService;
let tokens: Record<'viewer' | 'operator' | 'admin', string>;
let failedId: string;
let url: string;
let browser: Browser;
let page: Page;
const problems: string[] = [];

beforeAll(async () => {
  const redis = await testRedis();
  queues = createQueueService({ redis: { url: redis.url }, attempts: 1, backoffMs: 10 });
  api = await startApi({ queues, boardPath: PATH });
  tokens = {
    viewer: await api.token('viewer'),
    operator: await api.token('operator'),
    admin: await api.token('admin'),
  };
  const { workers } = await startWorkers(redis.url, {
    webhook: async (job) => {
      await job.log(`answered ${PHONE}`);
      await job.progress(40);
      throw new JobImpossible(`${PHONE} is nobody`);
    },
  });
  const payload = { entry: [{ from: PHONE, text: { body: 'My secret' } }] };
  failedId = (await queues.addWebhookJob({ salonId: 'salon1', payload, receivedAt: new Date() })).id;
  await eventually(async () => (await queues.getQueueStats('webhook')).failed === 1);
  await workers.stop(1000);
  await queues.addEmailJob({ to: 'ada@example.com', template: 'booking_confirmation', data: { customerName: 'Ada' } });
  await api.call({ method: 'POST', url: '/v1/messages', body: text({ text: { body: 'My other secret' } }) });
  await api.recorded();
  await api.app.listen({ port: 0, host: '127.0.0.1' });
  const address = api.app.server.address();
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  browser = await openBrowser();
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.setExtraHTTPHeaders({ authorization: `Bearer ${tokens.admin}` });
  page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  page.on('requestfailed', (request) => problems.push(`${request.url()} ${request.failure()?.errorText ?? ''}`));
});
afterAll(async () => {
  await browser.close();
  await api.close();
});

const ask = (as: string | null, request: Call) => api.call({ ...request, as });
/** Screenshots go to a folder when a person asks for them. */
async function shot(name: string): Promise<void> {
  const folder = process.env['WAXWING_SCREENSHOTS'];
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png` });
}

test('Q8 · the board is refused without a sign-in, page, files and API alike', async () => {
  for (const path of [PATH, `${PATH}/api/queues`, `${PATH}/static/js/main.js`, `${PATH}/unmask`]) {
    expect((await ask(null, { url: path })).statusCode, path).toBe(401);
    expect((await ask('nonsense', { url: path })).statusCode, path).toBe(401);
  }
});

test('Q8 · viewers read, operators pause and retry, admins remove', async () => {
  const put = (role: keyof typeof tokens, path: string) =>
    api.app
      .inject({
        method: 'PUT',
        url: `${PATH}/api/queues/${path}`,
        headers: { authorization: `Bearer ${tokens[role]}` },
      })
      .then(({ statusCode }) => statusCode);
  expect((await ask(tokens.viewer, { url: `${PATH}/api/queues` })).statusCode).toBe(200);
  expect(await put('viewer', 'notification-email/pause')).toBe(403);
  expect(await put('operator', 'notification-email/pause')).toBe(200);
  expect(await queues.getQueueDetail('email')).toMatchObject({ paused: true });
  expect(await put('operator', 'notification-email/resume')).toBe(200);
  expect(await put('operator', `whatsapp-webhook/${failedId}/clean`)).toBe(403);
  expect(await put('operator', 'whatsapp-send/pause')).toBe(200);
  expect(api.queue.isStopped).toBe(true);
  expect(await put('operator', 'whatsapp-send/resume')).toBe(200);
  const acts = (await api.record.audit.list()).items.map(({ action, target }) => `${action} ${target}`);
  expect(acts).toEqual(expect.arrayContaining(['board.pause notification-email', 'board.resume whatsapp-send']));
});

test('Q8 · numbers and texts are masked, also in errors and logs, until an admin asks, which is audited', async () => {
  const paths = [
    `${PATH}/api/queues?activeQueue=whatsapp-webhook&status=failed&page=1&jobsPerPage=10`,
    `${PATH}/api/queues?activeQueue=whatsapp-send&status=waiting&page=1&jobsPerPage=10`,
    `${PATH}/api/queues/whatsapp-webhook/${failedId}`,
    `${PATH}/api/queues/whatsapp-webhook/${failedId}/logs`,
  ];
  for (const path of paths) {
    const { statusCode, body } = await ask(tokens.admin, { url: path });
    expect(statusCode, path).toBe(200);
    expect(body, path).not.toMatch(/15112345678|secret/);
    expect(body.length, path).toBeGreaterThan(15);
  }
  expect((await ask(tokens.operator, { url: `${PATH}/unmask` })).statusCode).toBe(403);
  const asked = await ask(tokens.admin, { url: `${PATH}/unmask` });
  expect(asked.statusCode).toBe(302);
  const cookie = String(asked.headers['set-cookie']).split(';')[0] ?? '';
  const shown = await ask(tokens.admin, { url: paths[2] ?? '', headers: { cookie } });
  expect(shown.body).toContain('My secret');
  // Of no use to anybody else, nor with another end.
  expect((await ask(tokens.viewer, { url: paths[2] ?? '', headers: { cookie } })).body).not.toContain('My secret');
  const forged = cookie.replace(/=\d+/, '=9999999999999');
  expect((await ask(tokens.admin, { url: paths[2] ?? '', headers: { cookie: forged } })).body).not.toContain(
    'My secret',
  );
  expect((await api.record.audit.list()).items.map(({ action }) => action)).toContain('board.unmask');
});

test('Q8 · in the browser: every queue with its figures, a failed job with data, error, log, retry; no other host is asked', async () => {
  await page.goto(`${url}${PATH}`);
  for (const name of [
    'whatsapp-send',
    'whatsapp:webhook',
    'whatsapp:message-status',
    'booking:reminder',
    'notification:email',
    'inbound:respond',
  ]) {
    await page.getByText(name, { exact: true }).first().waitFor();
  }
  // Our sign stands there and could be drawn: an image that fails has no width of its own.
  const logo = page.locator('img[src^="data:image/svg+xml"]').first();
  expect(await logo.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth)).toBeGreaterThan(
    0,
  );
  await shot('board-overview');
  await page.goto(`${url}${PATH}/queue/whatsapp-webhook?status=failed`);
  await page.getByText('is nobody').first().waitFor();
  await shot('board-failed-job');
  expect(await page.content()).not.toMatch(/15112345678|My secret/);
  await page.goto(`${url}${PATH}/queue/whatsapp-send?status=waiting`);
  await page.getByText('text · default').first().waitFor();
  await shot('board-send-queue');
  expect(await page.content()).not.toContain('My other secret');
  expect(problems).toEqual([]);
});

test('Q6 · in the browser: the preview shows every e-mail, right to left where the language is', async () => {
  for (const [template, locale, words] of [
    ['booking_confirmation', 'en', 'Your booking is confirmed'],
    ['booking_cancelled', 'de', 'Ihr Termin ist abgesagt'],
    ['booking_confirmation', 'ar', 'تم تأكيد حجزك'],
  ] as const) {
    await page.goto(`${url}/admin/mail/preview?template=${template}&locale=${locale}`);
    const heading = page.frameLocator('iframe').getByRole('heading', { name: words });
    await heading.waitFor();
    expect(await page.frameLocator('iframe').locator('html').getAttribute('dir')).toBe(locale === 'ar' ? 'rtl' : 'ltr');
    await shot(`mail-${template}-${locale}`);
  }
  expect(problems).toEqual([]);
  expect((await ask(null, { url: '/admin/mail/preview' })).statusCode).toBe(401);
});
