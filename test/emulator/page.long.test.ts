import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { openBrowser } from '../support/browser.ts';
import { accepted, CUSTOMER, emulator, message, NUMBER, Receiver, text } from './support.ts';

let browser: Browser;
// A busy machine may take a while for a browser's first page.
vi.setConfig({ testTimeout: 90_000 });

beforeAll(async () => {
  browser = await openBrowser();
});
afterAll(async () => {
  await browser.close();
});

/** Opens the page and fails the test on any error in it or any request to another host. */
async function open(url: string, size = { width: 1200, height: 800 }): Promise<Page> {
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const troubles: string[] = [];
  page.on('pageerror', (error) => troubles.push(error.message));
  page.on('console', (line) => {
    if (line.type() === 'error') troubles.push(line.text());
  });
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== url && !request.url().startsWith('data:')) troubles.push(request.url());
  });
  onTestFinished(async () => {
    await context.close();
    expect(troubles).toEqual([]);
  });
  await page.goto(url);
  await page.locator('#link.on').waitFor();
  return page;
}

describe('the page', () => {
  it('is served with its types and a strict policy', async () => {
    const target = await emulator();
    const index = await fetch(target.url);
    expect(index.headers.get('content-type')).toContain('text/html');
    const policy = index.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect((await fetch(`${target.url}/app.js`)).headers.get('content-type')).toContain('javascript');
    expect((await fetch(`${target.url}/style.css`)).headers.get('content-type')).toContain('text/css');
    expect(await index.text()).not.toMatch(/ style=|<style|onclick=/);
  });

  it('shows messages as they arrive, with ticks, and sends the answer of the customer as a webhook', async () => {
    const receiver = await Receiver.start();
    const target = await emulator({
      webhookUrl: receiver.url,
      settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 5, readDelayMs: 5, jitterMs: 0 } },
    });
    const page = await open(target.url);
    await accepted(target, text('Hello <b>Anna</b> *bold*'));
    await page.locator('.row', { hasText: '+49 170 123 4567' }).click();
    const bubble = page.locator('.line.out .bubble').first();
    await bubble.locator('strong', { hasText: 'bold' }).waitFor();
    expect(await bubble.locator('.text').textContent()).toBe('Hello <b>Anna</b> bold');
    await bubble.locator('.tick.read').waitFor();

    const buttons = { buttons: [{ type: 'reply', reply: { id: 'yes', title: 'Yes, please' } }] };
    const asked = await accepted(
      target,
      message('interactive', { type: 'button', body: { text: 'Book it?' }, action: buttons }),
    );
    await page.getByRole('button', { name: 'Yes, please' }).click();
    await receiver.until(() => receiver.messages.length === 1);
    expect(receiver.messages[0]).toMatchObject({
      type: 'interactive',
      interactive: { button_reply: { id: 'yes', title: 'Yes, please' } },
      context: { id: asked },
    });

    await page.getByLabel('Answer as the customer').fill('See you!');
    await page.keyboard.press('Enter');
    await receiver.until(() => receiver.messages.length === 2);
    expect(receiver.messages[1]).toMatchObject({ from: '491701234567', type: 'text', text: { body: 'See you!' } });
    await page.locator('.line.in', { hasText: 'See you!' }).waitFor();
    await page.locator('#m-total', { hasText: '2' }).waitFor();
  });

  it('injects a fault from the panel and shows why a message failed', async () => {
    const target = await emulator({ settings: { statuses: { sentDelayMs: 5, jitterMs: 0 } } });
    const page = await open(target.url);
    await page.getByRole('button', { name: 'Faults' }).click();
    await page.getByLabel('What happens').selectOption('Undeliverable, told later (131026)');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.locator('#rules li').waitFor();
    await accepted(target, text());
    await page.keyboard.press('Escape');
    await page.locator('.row').click();
    await page.locator('.bubble .error', { hasText: '131026' }).waitFor();
    await page.locator('#m-failed', { hasText: '1' }).waitFor();
  });

  it('stays small and answers beside thousands of chats, also on a phone', async () => {
    const target = await emulator();
    const page = await open(target.url, { width: 390, height: 800 });
    for (let i = 0; i < 3000; i += 1)
      await target.inbound({ phoneNumberId: NUMBER, from: `+4917${10_000_000 + i}`, text: `m${i}` });
    await page.locator('#list-note', { hasText: /of 3[,.\s]?000 chats/ }).waitFor();
    expect(await page.locator('.row').count()).toBe(200);
    await page.getByLabel('Search chats').fill('10000007');
    await page.locator('.row', { hasText: '+49 171 000 0007' }).click();
    await page.locator('.bubble', { hasText: 'm7' }).waitFor();
    expect(await page.locator('.chats').isVisible()).toBe(false);
    await target.inbound({ phoneNumberId: NUMBER, from: CUSTOMER, name: 'Anna', text: 'Hi' });
    await page.getByRole('button', { name: 'Back to the chats' }).click();
    await page.getByLabel('Search chats').fill('Anna');
    await page.locator('.row', { hasText: 'Anna' }).waitFor();
  });
});
