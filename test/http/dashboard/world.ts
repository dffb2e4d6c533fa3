import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { expect, onTestFinished } from 'vitest';
import { type Emulator, startEmulator } from '../../../src/emulator/index.ts';
import { type Role, signJwt } from '../../../src/http/index.ts';
import type { Program } from '../../../src/program/start-program.ts';
import { openBrowser } from '../../support/browser.ts';
import { programSettings, runProgram } from '../../support/program.ts';
import { testDatabase, testRedis } from '../../support/services.ts';

/** Set to a folder to keep pictures of the pages. */
const PICTURES = process.env['WAXWING_TEST_PICTURES'];
export const ACCOUNT = '102290129340398';

/** The whole program over a real engine and record, the emulator as the provider, and a real browser before it. */
export class World {
  readonly emulator: Emulator;
  readonly program: Program;
  readonly browser: Browser;
  readonly url: string;

  private constructor(emulator: Emulator, program: Program, browser: Browser) {
    this.emulator = emulator;
    this.program = program;
    this.browser = browser;
    this.url = program.server?.url ?? '';
  }

  static async start(): Promise<World> {
    const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
    const emulator = await startEmulator({
      appSecret: 'app-secret',
      settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 20, readDelayMs: 60_000, jitterMs: 0 } },
    });
    const program = await runProgram(
      programSettings({ redis, database, emulator }, { WHATSAPP_BUSINESS_ACCOUNT_ID: ACCOUNT }),
    );
    emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
    return new World(emulator, program, await openBrowser());
  }

  async stop(): Promise<void> {
    await this.browser.close();
    await this.program.stop();
    await this.emulator.stop();
  }

  async token(role: Role): Promise<string> {
    return await signJwt(
      { role, name: `${role}-ann` },
      { secret: this.program.keys.jwtSecret, audience: undefined, issuer: undefined },
    );
  }

  /** One request of the product, or of a person with this role. */
  async call(method: string, path: string, body?: unknown, role?: Role): Promise<Response> {
    const credential = role === undefined ? this.program.keys.apiKey : await this.token(role);
    const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' };
    return await fetch(this.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async send(to: string, words: string, tenant = 'salon1'): Promise<string> {
    const response = await this.call('POST', '/v1/messages', { tenant, to, type: 'text', text: { body: words } });
    expect(response.status).toBe(202);
    return ((await response.json()) as { id: string }).id;
  }

  async statusOf(id: string): Promise<string> {
    const { status } = (await (await this.call('GET', `/v1/messages/${id}`)).json()) as { status: string };
    return status;
  }

  /** Fails the test on an error in the page or a request to another host. */
  async #openPage(more: object): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 900 }, ...more });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const troubles: string[] = [];
    page.on('pageerror', (error) => troubles.push(error.message));
    page.on('console', (line) => {
      if (line.type() === 'error' && !/untrustworthy|insecure origins/.test(line.text())) troubles.push(line.text());
    });
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== this.url && !request.url().startsWith('data:'))
        troubles.push(request.url());
    });
    onTestFinished(async () => {
      await context.close();
      expect(troubles).toEqual([]);
    });
    return page;
  }

  /** Signs in by the form. */
  async signIn(role: Role, path = '/dashboard', more: object = {}): Promise<Page> {
    const page = await this.#openPage(more);
    await page.goto(this.url + path);
    if (!(await page.getByLabel('Token').isVisible())) await page.locator('summary').click();
    await page.getByLabel('Token').fill(await this.token(role));
    await page.getByRole('button', { name: 'Sign in with the token' }).click();
    await page.waitForURL(this.url + path);
    return page;
  }
}

export async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES !== undefined) await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}

export const textOf = async (page: Page, selector: string) => await page.locator(selector).innerText();
export const confirm = (page: Page, name: string) => page.getByRole('dialog').getByRole('button', { name }).click();
