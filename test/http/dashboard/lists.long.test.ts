import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { eventually } from '../../support/services.ts';
import { PHONE_NUMBER_ID } from '../../support/program.ts';
import { troublesOf } from './accessibility.ts';
import { ACCOUNT, confirm, picture, textOf, World } from './world.ts';

/*
 * Templates, statistics, bookings and senders in a real browser, and what holds for every page.
 */

vi.setConfig({ testTimeout: 120_000 });

const DAY_MS = 86_400_000;
let world: World;
let approvedId: string;

beforeAll(async () => {
  world = await World.start();
  const template = {
    ...({ tenant: null, language: 'en', provider: 'cloud', account: ACCOUNT, sender: 'default' } as const),
    category: 'UTILITY',
  };
  const { templates, tenants } = world.program.record;
  for (const id of ['salon1', 'clinic']) await tenants.create({ id });
  const body = { type: 'BODY', text: 'Hi {{1}}, see you at {{2}}.', example: { body_text: [['Amira', '10:30']] } };
  const buttons = { type: 'BUTTONS', buttons: [{ type: 'QUICK_REPLY', text: 'I will come' }] };
  const approved = { key: 'reminder', name: 'reminder', components: [body, buttons], status: 'APPROVED' };
  approvedId = (await templates.add({ ...template, ...approved, reason: null, providerId: '77001' })).id;
  const stopped = {
    key: 'offer',
    name: 'offer_2',
    components: [{ type: 'BODY', text: 'Now less.' }],
    status: 'REJECTED',
  };
  await templates.add({ ...template, ...stopped, reason: 'TAG_CONTENT_MISMATCH', providerId: '77002' });
  for (const [tenant, hours] of [
    ['salon1', 30],
    ['clinic', 50],
  ] as const) {
    const answer = await world.call('POST', '/v1/bookings', {
      ...{
        tenant,
        id: `b-${tenant}`,
        customerPhone: '+447700900700',
        customerName: 'Ben Carter',
        serviceName: 'Haircut',
      },
      ...{ serviceDate: new Date(Date.now() + hours * 3_600_000).toISOString(), reminders: ['day_before'] },
    });
    expect(answer.status).toBe(201);
  }
  const { bookings } = world.program.record;
  await bookings.endReminder('clinic', 'b-clinic', 'day_before', 'failed', 'The number is not on WhatsApp.');
}, 90_000);
afterAll(() => world.stop());

describe('templates', () => {
  it('S12 · a viewer sees each with its state and why it is stopped, and what a customer reads', async () => {
    const page = await world.signIn('viewer', '/dashboard/templates');
    const stopped = page.locator('tbody tr', { hasText: 'offer_2' });
    await stopped.getByText('Rejected').waitFor();
    expect(await stopped.innerText()).toMatch(/TAG_CONTENT_MISMATCH[^]*Now less\.[^]*Meta[^]*77002/);
    expect(await page.getByRole('button', { name: 'Take over states' }).count()).toBe(0);
    expect(await page.getByRole('link', { name: 'New template' }).count()).toBe(0);
    await page.getByLabel('State').selectOption('APPROVED');
    await page.waitForURL(/status=APPROVED/);
    await stopped.waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'reminder' }).click();
    await page.locator('.shown').getByText('Hi Amira, see you at 10:30.').waitFor();
    await page.locator('.shown').getByText('I will come').waitFor();
    await page.getByLabel('{{1}}').fill('Ben');
    await page.locator('.shown').getByText('Hi Ben, see you at 10:30.').waitFor();
    await picture(page, 'template');
  });

  it('an operator takes over what the provider has; an admin makes one, and the audit names both', async () => {
    const operator = await world.signIn('operator', '/dashboard/templates');
    await operator.locator('tbody tr').first().waitFor();
    const made = await fetch(`${world.emulator.apiUrl}/${ACCOUNT}/message_templates`, {
      method: 'POST',
      headers: { authorization: 'Bearer token', 'content-type': 'application/json' },
      body: JSON.stringify({
        ...{ name: 'made_there', language: 'en', category: 'MARKETING' },
        components: [{ type: 'BODY', text: 'Made at Meta.' }],
      }),
    });
    expect(made.status).toBe(200);
    await operator.getByRole('button', { name: 'Take over states' }).click();
    await operator.locator('.toast.shown').getByText('1 new here').waitFor();
    await operator.getByText('Made at Meta.').waitFor();

    const admin = await world.signIn('admin', '/dashboard/templates');
    await admin.getByRole('link', { name: 'New template' }).click();
    await admin.getByLabel('Key').fill('table_ready');
    await admin.getByLabel(/^Text, with/).fill('Your table is ready, {{name}}.');
    await admin.getByLabel('Example for {{name}}').fill('Chiara');
    await admin.getByRole('button', { name: 'Hand in for approval' }).click();
    await admin.locator('.shown').getByText('Your table is ready, Chiara.').waitFor();
    await admin.getByText('In review').waitFor();
    const { items } = await world.program.record.audit.list({ limit: 20 });
    const acts = items.filter(({ action }) => action.startsWith('templates.'));
    expect(acts.map(({ actor, action }) => `${actor} ${action}`).sort()).toEqual([
      'admin-ann templates.create',
      'operator-ann templates.sync',
    ]);
  });

  it('viewers change none, and operators make none', async () => {
    const body = { key: 'x', language: 'en', category: 'UTILITY', body: 'x' };
    const path = '/dashboard/api/templates';
    expect((await world.call('POST', `${path}/sync`, { sender: 'default' }, 'viewer')).status).toBe(403);
    expect((await world.call('POST', path, body, 'operator')).status).toBe(403);
    expect((await world.call('POST', path, { ...body, key: '' }, 'admin')).status).toBe(400);
    expect((await world.call('GET', `${path}/nonsense`, undefined, 'viewer')).status).toBe(404);
    // A key of the product is no person.
    expect((await world.call('GET', path)).status).toBe(401);
  });
});

describe('statistics', () => {
  it('S12 · shows what became of the messages, by tenant and by time, and leads to them', async () => {
    const dead = '+447700900667';
    world.emulator.addRule({ match: { recipient: dead }, action: { kind: 'error', code: 131026 } });
    const failed = await world.send(dead, 'Are you there?');
    const good = await world.send('+447700900701', 'Hello.');
    await world.send('+447700900702', 'Hello.', 'clinic');
    await eventually(async () => ((await world.statusOf(failed)) === 'failed' ? true : undefined));
    await eventually(async () => ((await world.statusOf(good)) === 'delivered' ? true : undefined));
    const page = await world.signIn('viewer', '/dashboard/statistics?tenant=salon1');
    await page.locator('.figure', { hasText: 'Messages' }).getByText('2', { exact: true }).waitFor();
    const figures = await textOf(page, '.figures');
    expect(figures).toMatch(/Delivered\s+100 %\s+of those sent/);
    expect(figures).toMatch(/Failed\s+1\s+50 %/);
    expect(await textOf(page, 'section[aria-label="Failures by reason"]')).toContain('131026');
    expect(await textOf(page, 'section[aria-label="Bookings"]')).toMatch(/Made\s*1/);
    await page.locator('summary').click();
    expect(await page.locator('section[aria-label="Messages by day"] tbody tr').count()).toBe(1);
    await picture(page, 'statistics');
    await page.getByRole('combobox', { name: 'Time' }).selectOption('7');
    await page.waitForURL(/days=7/);
    await expect.poll(() => page.locator('.column').count()).toBe(7 + 24);
    await page.locator('.holds a', { hasText: '131026' }).click();
    await page.waitForURL(/\/dashboard\/failures\?tenant=salon1&code=131026/);
    await page.locator(`a[href="/dashboard/messages/${failed}"]`).waitFor();
  });

  it('a range that is none, too long, or of an unknown clock is refused with its field', async () => {
    const now = Date.now();
    for (const [query, field] of [
      [`from=${new Date(now).toISOString()}&to=${new Date(now - DAY_MS).toISOString()}`, 'from'],
      [`from=${new Date(now - 400 * DAY_MS).toISOString()}`, 'from'],
      ['timeZone=Mars/Olympus', 'timeZone'],
      ['from=yesterday', 'from'],
    ] as const) {
      const answer = await world.call('GET', `/dashboard/api/stats?${query}`, undefined, 'viewer');
      expect(answer.status, query).toBe(400);
      expect(await answer.json()).toMatchObject({ field });
    }
  });
});

describe('bookings and senders', () => {
  it('bookings of all tenants with their reminders, by tenant and by state of the reminders', async () => {
    const page = await world.signIn('viewer', '/dashboard/bookings');
    await page.locator('tbody tr').nth(1).waitFor();
    const shown = await textOf(page, 'tbody');
    expect(shown).toMatch(/salon1[^]*Waits[^]*clinic[^]*Failed[^]*not on WhatsApp/);
    expect(shown).not.toContain('Carter');
    expect(shown).not.toContain('447700900700');
    await picture(page, 'bookings');
    await page.getByLabel('With a reminder that').selectOption('failed');
    await page.waitForURL(/reminder=failed/);
    await expect.poll(() => page.locator('tbody tr').count()).toBe(1);
    await page.goto(`${world.url}/dashboard/bookings?tenant=salon1`);
    await page.locator('tbody tr').waitFor();
    expect(await textOf(page, 'tbody')).not.toContain('clinic');
    await page.getByLabel('When').selectOption('past');
    await page.getByText('No bookings fit.').waitFor();
  });

  it('goes on page by page through bookings of one moment, forward and backward', async () => {
    const at = new Date(Date.now() + 20 * DAY_MS).toISOString();
    for (const id of ['p1', 'p2', 'p3']) {
      const body = { tenant: 'pages', id, customerPhone: '+447700900703', serviceName: 'Cut', serviceDate: at };
      expect((await world.call('POST', '/v1/bookings', { ...body, reminders: [] })).status).toBe(201);
    }
    for (const [when, wanted] of [
      ['coming', ['p1', 'p2', 'p3']],
      ['all', ['p3', 'p2', 'p1']],
    ] as const) {
      const found: string[] = [];
      let cursor = '';
      do {
        const path = `/dashboard/api/bookings?tenant=pages&limit=1&when=${when}${cursor}`;
        const answer = await world.call('GET', path, undefined, 'viewer');
        const { items, next } = (await answer.json()) as { items: { id: string }[]; next: string | null };
        found.push(...items.map(({ id }) => id));
        cursor = next === null ? '' : `&cursor=${next}`;
      } while (cursor !== '');
      expect(found).toEqual(wanted);
    }
  });

  it('an operator finds a sender, pauses it with a reason and resumes it', async () => {
    const page = await world.signIn('operator', '/dashboard/senders');
    await page.getByRole('button', { name: 'Pause sender default' }).click();
    await page.getByRole('dialog').getByLabel('Reason').fill('the number is being moved');
    await confirm(page, 'Pause');
    await page.getByText('the number is being moved').waitFor();
    await page.getByLabel('Which').selectOption('paused');
    await page.waitForURL(/only=paused/);
    await page.getByRole('button', { name: 'Resume sender default' }).click();
    await confirm(page, 'Resume');
    await page.getByText('No sender fits.').waitFor();
    expect((await world.program.record.senders.get('default'))?.pausedReason).toBeNull();
  });
});

/** A conversation with a bubble of every kind. @returns the id of its message that was read */
async function everyBubble(): Promise<string> {
  const phone = '+447700900755';
  const { emulator } = world;
  emulator.patch({ statuses: { readDelayMs: 30 } });
  const id = await world.send(phone, 'Your table is ready.');
  await eventually(async () => (await world.statusOf(id)) === 'read', { timeoutMs: 20_000 });
  emulator.patch({ statuses: { readDelayMs: 60_000 } });
  await emulator.inbound({ phoneNumberId: PHONE_NUMBER_ID, from: phone, text: 'Thank you, we are on our way.' });
  const rule = emulator.addRule({ match: { textIncludes: 'refused' }, action: { kind: 'error', code: 131026 } });
  const failed = await world.send(phone, 'This one is refused.');
  await eventually(async () => (await world.statusOf(failed)) === 'failed', { timeoutMs: 20_000 });
  emulator.removeRule(rule.id);
  await world.send(phone, 'See you soon.');
  return id;
}

describe('every page', () => {
  let chatOf: string;
  beforeAll(async () => {
    chatOf = await everyBubble();
  });

  it.each([
    ['dark', 1280],
    ['light', 360],
  ] as const)(
    '%s, %i px wide: contrast AA, names, headings, and nothing beside the screen',
    async (colorScheme, width) => {
      const page = await world.signIn('admin', '/dashboard', { colorScheme, viewport: { width, height: 800 } });
      await page.locator('#figure-sent').waitFor();
      const { items } = await world.program.record.messages.list({ tenant: null, limit: 1 });
      const paths = [
        '',
        '/messages',
        `/messages/${items[0]?.id ?? ''}`,
        `/messages/${chatOf}/conversation`,
        '/failures',
        '/tenants',
        '/senders',
        '/bookings',
      ];
      for (const path of [...paths, '/templates', `/templates/${approvedId}`, '/templates/new', '/statistics']) {
        await page.goto(`${world.url}/dashboard${path}`);
        await page.locator('main h1').waitFor({ state: 'attached' });
        await page.locator('.l-live').waitFor();
        await page.waitForLoadState('networkidle', { timeout: 500 }).catch(() => undefined);
        if (path.endsWith('/conversation')) {
          for (const kind of ['.inbound', '.outbound.s-failed', '.this .ticks.read', '.outbound a'])
            await page.locator(`.chat ${kind}`).first().waitFor();
          await picture(page, `conversation-${colorScheme}`);
        }
        expect(await troublesOf(page), path).toEqual([]);
      }
    },
  );

  it('the check sees what it looks for', async () => {
    const page = await world.signIn('viewer');
    await page.evaluate(`document.querySelector('main').innerHTML =
      '<h1>a</h1><h3 id="x">b</h3><p id="x">pale</p><button></button><table><tr><td>1</td></tr></table>'`);
    // The page's policy allows no styles in markup, so the colour is set by a script.
    await page.evaluate(`document.querySelector('main p').style.color = '#999'`);
    const troubles = (await troublesOf(page)).join('; ');
    expect(troubles).toMatch(
      /contrast 2\.\d+ of "pale"[^]*no name: <button>[^]*before h3[^]*twice: #x[^]*without headers/,
    );
  });

  it('is reached and used by the keyboard alone', async () => {
    const page = await world.signIn('operator');
    await page.locator('.l-live').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.innerText')).toBe('To the content');
    await page.keyboard.press('Enter');
    await page.goto(`${world.url}/dashboard`);
    await page.locator('.l-live').waitFor();
    const focused = 'document.activeElement.innerText';
    for (let tabs = 0; tabs < 12 && (await page.evaluate(focused)) !== 'Tenants'; tabs += 1) {
      await page.keyboard.press('Tab');
      const outline = 'getComputedStyle(document.activeElement).outlineStyle';
      if ((await page.evaluate(focused)) !== '') expect(await page.evaluate(outline)).not.toBe('none');
    }
    await page.keyboard.press('Enter');
    await page.waitForURL(`${world.url}/dashboard/tenants`);
    // A reader goes on at the new page's heading.
    await expect.poll(() => page.evaluate('document.activeElement.tagName')).toBe('H1');
    const pause = page.getByRole('button', { name: 'Pause tenant clinic' });
    await pause.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    expect((await world.program.record.tenants.get('clinic'))?.pausedReason).toBeNull();
  });
});

describe('what a person types', () => {
  /** Twelve letters take twice as long as a list waits before it is read again. */
  const SLOWLY = { delay: 250 };

  it('stays as it is while the figures around it are refreshed', async () => {
    const page = await world.signIn('viewer', '/dashboard/tenants');
    const search = page.getByLabel('Id or name');
    await search.pressSequentially('clinic-north', SLOWLY);
    expect(await search.inputValue()).toBe('clinic-north');
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=clinic-north/);
    await page.getByText('No tenant fits.').waitFor();
    await search.fill(' clinic ');
    await page.keyboard.press('Enter');
    await page.waitForURL(/search=clinic$/);
    expect(await search.inputValue()).toBe('clinic');

    await page.goto(`${world.url}/dashboard/messages`);
    const tenant = page.getByRole('combobox', { name: 'Tenant' });
    await tenant.pressSequentially('salon1 and more', SLOWLY);
    expect(await tenant.inputValue()).toBe('salon1 and more');
    await page.getByLabel('From').pressSequentially('01022026', { delay: 500 });
    await page.waitForURL(/from=2026/);
    expect(await page.getByLabel('From').inputValue()).toBe('2026-01-02');
    // What is set elsewhere is shown.
    await page.goBack();
    await page.goForward();
    expect(await tenant.inputValue()).toBe('salon1 and more');
    await page.getByRole('link', { name: 'Messages', exact: true }).click();
    await page.waitForURL(`${world.url}/dashboard/messages`);
    await eventually(async () => (await tenant.inputValue()) === '');
  });
});
