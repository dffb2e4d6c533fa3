import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../support/services.ts';
import { confirm, picture, textOf, World } from './world.ts';

/*
 * The dashboard in a real browser: what is live, and what people do. Its other pages stand in lists.long.test.ts.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DEAD = '+447700900666';

vi.setConfig({ testTimeout: 120_000 });

let world: World;

beforeAll(async () => {
  world = await World.start();
}, 90_000);
afterAll(() => world.stop());

describe('the dashboard', () => {
  it('P8 · S12 · figures change while messages flow, and lead to the message, its timeline and its conversation', async () => {
    const page = await world.signIn('viewer');
    await page.locator('.l-live').waitFor();
    const id = await world.send('+447700900001', 'Your table is ready.');
    await page.getByText('1 in all').first().waitFor();
    await eventually(async () => ((await textOf(page, '#figure-delivered')).includes('0\n') ? undefined : true));
    expect(await textOf(page, '.answer')).toMatch(/Flowing|All quiet/);
    expect(await page.locator('.chart canvas').count()).toBe(1);
    await page.locator('#figure-accepted').click();
    await page.waitForURL(`${world.url}/dashboard/messages`);
    await page.locator('tbody th a').first().click();
    await page.waitForURL(`${world.url}/dashboard/messages/${id}`);
    await page.locator('.timeline').getByText('Delivered', { exact: true }).first().waitFor();
    await page.locator('.chat .this').waitFor();
    const shown = await textOf(page, 'main');
    expect(shown).toContain('•••••01');
    expect(shown).toContain('[20 characters]');
    expect(shown).not.toContain('table is ready');
    expect(shown).not.toContain('447700900001');
    expect(await page.getByRole('button', { name: /Pause|Redrive|Show texts/ }).count()).toBe(0);
    // The address is enough to come back to it.
    await page.reload();
    await page.locator('.timeline').getByText('Delivered', { exact: true }).first().waitFor();
    await picture(page, 'message');
  });

  it('an admin sees texts after asking for it, and the audit tells who did', async () => {
    const id = await world.send('+447700900002', 'Only for Mina.');
    const page = await world.signIn('admin', `/dashboard/messages/${id}`);
    await page.locator('.chat .this').getByText('[14 characters]').waitFor();
    await page.getByRole('button', { name: 'Show texts' }).click();
    await page.locator('.chat .this').getByText('Only for Mina.').waitFor();
    expect(await textOf(page, '.facts')).toContain('+447700900002');
    const { items } = await world.program.record.audit.list({ action: 'dashboard.reveal', limit: 10 });
    expect(items.map(({ actor }) => actor)).toEqual(['admin-ann']);
    await page.getByRole('button', { name: 'Hide texts' }).click();
    await page.locator('.chat .this').getByText('[14 characters]').waitFor();
  });

  it('an operator pauses a sender, sees why nothing goes, finds the messages behind it, and resumes', async () => {
    const page = await world.signIn('operator');
    await page.getByRole('button', { name: 'Pause sender default' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('number is being moved');
    await confirm(page, 'Pause');
    await page.getByText('number is being moved').waitFor();
    const id = await world.send('+447700900003', 'Held for a moment.');
    await page.locator('.a-held').waitFor();
    expect(await textOf(page, '.answer')).toMatch(/Nothing goes: 1 message waits\.[^]*paused sender[^]*default/);
    await picture(page, 'held');
    await page.locator('.holds a', { hasText: 'Sender paused' }).click();
    await page.waitForURL(/hold=sender-paused/);
    await page.locator(`a[href="/dashboard/messages/${id}"]`).click();
    await page.getByText('Sender paused: The sender is paused.').waitFor();
    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    await page.getByRole('button', { name: 'Resume sender default' }).click();
    await confirm(page, 'Resume');
    await eventually(async () => (['sent', 'delivered'].includes(await world.statusOf(id)) ? true : undefined));
    await page.locator('.a-flowing, .a-quiet').waitFor();
  });

  it('an operator pauses and resumes a tenant, found by search', async () => {
    await world.send('+447700900004', 'Hello.', 'clinic-north');
    const page = await world.signIn('operator', '/dashboard/tenants');
    await page.getByLabel('Id or name').fill('north');
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=north/);
    await page.getByRole('button', { name: 'Pause tenant clinic-north' }).click();
    await confirm(page, 'Pause');
    await page.getByRole('button', { name: 'Resume tenant clinic-north' }).click();
    expect((await world.program.record.tenants.get('clinic-north'))?.pausedReason).not.toBeNull();
    await confirm(page, 'Resume');
    await page.getByRole('button', { name: 'Pause tenant clinic-north' }).waitFor();
    expect((await world.program.record.tenants.get('clinic-north'))?.pausedReason).toBeNull();
  });

  it('an operator looks at a dead letter, tries a redrive dry, and redrives it', async () => {
    const rule = world.emulator.addRule({ match: { recipient: DEAD }, action: { kind: 'error', code: 131026 } });
    const id = await world.send(DEAD, 'Are you there?');
    await eventually(async () => ((await world.statusOf(id)) === 'failed' ? true : undefined));
    world.emulator.removeRule(rule.id);
    const page = await world.signIn('operator', '/dashboard/failures');
    await page.locator(`a[href="/dashboard/messages/${id}"]`).waitFor();
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.locator('.trial').getByText('1 of 1 would be redriven.').waitFor();
    expect(await world.statusOf(id)).toBe('failed');
    await picture(page, 'failures');
    await page.getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Redrive 1 chosen' }).click();
    await confirm(page, 'Redrive');
    await eventually(async () => (['sent', 'delivered'].includes(await world.statusOf(id)) ? true : undefined));
    await page.getByText('No dead letters').waitFor();
  });
});

describe('its figures', () => {
  it('P8 · the view is at most a second behind the truth', async () => {
    const response = await fetch(`${world.url}/dashboard/api/stream`, {
      headers: { authorization: `Bearer ${await world.token('viewer')}` },
    });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    let seen = 0;
    let buffer = '';
    const reading = (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        buffer += decoder.decode(value, { stream: true });
        for (const match of buffer.matchAll(/"totals":\{"accepted":(\d+)/g)) seen = Number(match[1]);
        buffer = buffer.slice(buffer.lastIndexOf('event:'));
      }
    })().catch(() => undefined);
    await eventually(() => (seen > 0 ? true : undefined));
    const lagsMs: number[] = [];
    for (let turn = 0; turn < 5; turn += 1) {
      const before = seen;
      await world.send('+447700900005', `lag ${turn}`);
      const acceptedAtMs = performance.now();
      await vi.waitUntil(() => seen > before, { timeout: 10_000, interval: 5 });
      lagsMs.push(performance.now() - acceptedAtMs);
    }
    await reader.cancel();
    await reading;
    // The best of them is the program's own; the others may have met a busy machine.
    expect(Math.min(...lagsMs)).toBeLessThan(1000);
    expect(lagsMs.sort((a, b) => a - b)[2]).toBeLessThan(1000);
  });

  it('P8 · the first load is at most 150 kB compressed, and comes from this host alone', async () => {
    const headers = { authorization: `Bearer ${await world.token('viewer')}`, 'accept-encoding': 'gzip' };
    const index = await fetch(`${world.url}/dashboard`, { headers });
    const policy = index.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const html = await index.text();
    expect(html).not.toMatch(/<style| style=|<script>|https?:/);
    const files = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path ?? '');
    expect(files.length).toBeGreaterThan(1);
    const folder = fileURLToPath(new URL('../../../web/dashboard/dist/assets/', import.meta.url));
    const scripts = readdirSync(folder).filter((name) => name.endsWith('.gz'));
    const bytes = html.length + scripts.reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0);
    expect(bytes).toBeLessThan(150_000);
    for (const file of files) {
      const answer = await fetch(world.url + file, { headers: { 'accept-encoding': 'gzip' } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get('content-encoding')).toBe('gzip');
      expect(answer.headers.get('cache-control')).toContain('immutable');
      expect(await answer.text()).not.toContain(ROOT); // built for development it names its sources
    }
  });

  it('nothing of it is read without signing in, and only an admin may ask for texts', async () => {
    const paths = ['me', 'stream', 'messages', 'tenants', 'senders', 'failures', 'bookings', 'templates', 'stats'];
    for (const path of paths) {
      expect((await fetch(`${world.url}/dashboard/api/${path}`)).status).toBe(401);
    }
    const page = await fetch(`${world.url}/dashboard/messages`, {
      headers: { accept: 'text/html' },
      redirect: 'manual',
    });
    expect(page.headers.get('location')).toBe('/login?next=%2Fdashboard%2Fmessages');
    const headers = { authorization: `Bearer ${await world.token('operator')}` };
    expect((await fetch(`${world.url}/dashboard/api/reveal`, { method: 'POST', headers })).status).toBe(403);
  });
});
