import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { hashPassword } from '../../../src/util/passwords.ts';
import { openBrowser } from '../../support/browser.ts';
import { startApi, type Api } from '../support/api.ts';

const PASSWORD = 'correct horse battery staple';
/** Set to a folder to keep pictures of the pages. */
const PICTURES = process.env['WAXWING_TEST_PICTURES'];

// A busy machine may take a while for a browser's first page.
vi.setConfig({ testTimeout: 90_000 });

let api: Api;
let browser: Browser;
let port = 0;
beforeAll(async () => {
  api = await startApi();
  await api.record.people.add({ name: 'ann', role: 'admin', passwordHash: await hashPassword(PASSWORD) });
  await api.app.listen({ host: '0.0.0.0', port: 0 });
  port = (api.app.server.address() as AddressInfo).port;
  browser = await openBrowser('--host-resolver-rules=MAP waxwing.test 127.0.0.1');
});
afterAll(async () => {
  await browser.close();
  await api.close();
});

test.each([
  // Browsers send Sec-Fetch-Site to localhost and not to a plain address by http: both ways must work.
  ['localhost', 'dark', { width: 360, height: 640 }],
  ['waxwing.test', 'light', { width: 1200, height: 800 }],
] as const)('a person signs in and out in a real browser at %s, %s', async (host, colorScheme, viewport) => {
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const troubles: string[] = [];
  page.on('console', (line) => {
    // A refused password is an answer with 401; some headers are for https only, and Chromium says so.
    const isExpected = /401|untrustworthy|insecure origins/.test(line.text());
    if (line.type() === 'error' && !isExpected) troubles.push(line.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).hostname !== host) troubles.push(request.url());
  });
  const shot = async (name: string) => {
    if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}-${colorScheme}.png`) });
  };
  try {
    const origin = `http://${host}:${port}`;
    await page.goto(`${origin}/admin/audit`);
    expect(page.url()).toBe(`${origin}/login?next=%2Fadmin%2Faudit`);
    expect(
      await page
        .locator('link[rel=stylesheet]')
        .evaluate((link) => (link as unknown as { sheet: unknown }).sheet !== null),
    ).toBe(true);
    const isTooWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
    expect(isTooWide).toBe(false);
    await shot('form');
    await page.getByLabel('Name').fill('ann');
    await page.getByLabel('Password').fill('wrong password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByLabel('Name').inputValue()).toBe('ann');
    await shot('refused');
    // With the keyboard alone.
    await page.getByLabel('Password').focus();
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${origin}/admin/audit`);
    expect(await page.locator('body').innerText()).toContain('session.open');
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.goto(`${origin}/logout`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL(`${origin}/login`);
    await page.locator('summary').click();
    await page.getByLabel('Token').fill(await api.token('viewer'));
    await shot('token');
    await page.getByRole('button', { name: 'Sign in with the token' }).click();
    await page.waitForURL(`${origin}/docs**`);
    expect(troubles).toEqual([]);
  } finally {
    await context.close();
  }
});
