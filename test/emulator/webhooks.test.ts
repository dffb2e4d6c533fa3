import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { SettingsPatch } from '../../src/emulator/index.ts';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  accepted,
  control,
  CUSTOMER,
  emulator,
  eventually,
  message,
  NUMBER,
  Receiver,
  text,
  values,
} from './support.ts';

const FAST = { sentDelayMs: 1, deliveredDelayMs: 5, readDelayMs: 5, jitterMs: 0 };

async function pair(settings: SettingsPatch = {}): Promise<{ target: Emulator; receiver: Receiver }> {
  const receiver = await Receiver.start();
  const { statuses, ...rest } = settings;
  const target = await emulator({
    webhookUrl: receiver.url,
    appSecret: 'app secret',
    verifyToken: 'verify me',
    settings: { statuses: { ...FAST, ...statuses }, ...rest },
  });
  return { target, receiver };
}

const byMessage = (receiver: Receiver, id: string): string[] =>
  receiver.statuses.filter((status) => status.id === id).map((status) => status.status);

describe('status webhooks', () => {
  it('go sent → delivered → read, with recipient, tag and metadata', async () => {
    const { target, receiver } = await pair();
    const id = await accepted(target, text('Hi', { biz_opaque_callback_data: 'tag-1' }));
    await receiver.until(() => byMessage(receiver, id).includes('read'));
    expect(byMessage(receiver, id)).toEqual(['sent', 'delivered', 'read']);
    expect(receiver.statuses[0]).toMatchObject({
      recipient_id: '491701234567',
      biz_opaque_callback_data: 'tag-1',
      timestamp: expect.stringMatching(/^\d{10}$/) as string,
      conversation: { origin: { type: 'service' } },
      pricing: { pricing_model: 'PMP' },
    });
    expect(values(receiver.hooks[0]?.raw ?? '')[0]).toMatchObject({
      messaging_product: 'whatsapp',
      metadata: { phone_number_id: NUMBER },
    });
  });

  it('are signed over exactly the bytes that are sent, in Meta’s escaped form', async () => {
    const { target, receiver } = await pair();
    await target.inbound({ phoneNumberId: NUMBER, from: CUSTOMER, name: 'Zoë', text: 'ä/€ 😀 <b>', wait: true });
    const [hook] = receiver.hooks;
    const raw = hook?.raw ?? '';
    expect(raw).toContain('\\u00e4\\/\\u20ac \\ud83d\\ude00 <b>');
    expect(raw).toMatch(/^[\x20-\x7e]+$/);
    expect(hook?.signature).toBe(`sha256=${createHmac('sha256', 'app secret').update(raw).digest('hex')}`);
    const again = JSON.stringify(JSON.parse(raw));
    expect(hook?.signature).not.toBe(`sha256=${createHmac('sha256', 'app secret').update(again).digest('hex')}`);
  });

  it('report only sent for a reaction, and 131009 for a reaction to nothing', async () => {
    const { target, receiver } = await pair();
    const first = await accepted(target, text());
    const good = await accepted(target, message('reaction', { message_id: first, emoji: '👍' }));
    const bad = await accepted(target, message('reaction', { message_id: 'wamid.none', emoji: '👍' }));
    await receiver.until(() => byMessage(receiver, first).length === 3 && byMessage(receiver, bad).length === 1);
    await eventually(() => target.stats().statusesPending === 0);
    expect(byMessage(receiver, good)).toEqual(['sent']);
    expect(receiver.statuses.find((status) => status.id === bad)).toMatchObject({
      status: 'failed',
      errors: [{ code: 131009 }],
    });
  });

  it('fail with 131047 outside the service window, and not for a template or after the customer wrote', async () => {
    const { target, receiver } = await pair({ window: { enforce: true } });
    const outside = await accepted(target, text());
    const template = await accepted(target, message('template', { name: 'hello', language: { code: 'en' } }));
    await target.inbound({ phoneNumberId: NUMBER, from: CUSTOMER, text: 'Hello' });
    const inside = await accepted(target, text());
    await receiver.until(() => [template, inside].every((id) => byMessage(receiver, id).includes('read')));
    expect(receiver.statuses.find((status) => status.id === outside)).toMatchObject({
      status: 'failed',
      errors: [{ code: 131047, error_data: { details: expect.any(String) as string } }],
    });
  });

  it('wait while they are paused and then come in batches of at most batchMax', async () => {
    const { target, receiver } = await pair({
      webhook: { paused: true, batchMax: 4 },
      statuses: { deliveredProbability: 0 },
    });
    for (let i = 0; i < 10; i += 1) await accepted(target, text('x', { to: `+49170000000${i}` }));
    await eventually(() => target.stats().webhooks.pending === 10);
    expect(receiver.hooks).toHaveLength(0);
    target.patch({ webhook: { paused: false } });
    await receiver.until(() => receiver.statuses.length === 10);
    const sizes = receiver.hooks.map(({ raw }) => values(raw).flatMap((value) => value['statuses']).length);
    expect(sizes.sort()).toEqual([2, 4, 4]);
  });

  it('can come twice, get lost, and overtake each other', async () => {
    const twice = await pair({ webhook: { duplicateProbability: 1 }, statuses: { deliveredProbability: 0 } });
    const id = await accepted(twice.target, text());
    await twice.receiver.until(() => byMessage(twice.receiver, id).length === 2);
    twice.target.patch({ webhook: { dropProbability: 1 } });
    await accepted(twice.target, text());
    await eventually(() => twice.target.stats().webhooks.dropped === 1);
    expect(twice.receiver.statuses).toHaveLength(2);

    const mixed = await pair({ webhook: { shuffleMs: 150 } });
    const ids = [];
    for (let i = 0; i < 20; i += 1) ids.push(await accepted(mixed.target, text('x', { to: `+4917000000${10 + i}` })));
    await mixed.receiver.until(() => mixed.receiver.statuses.length === 60);
    const inOrder = ids.filter((each) => byMessage(mixed.receiver, each).join() === 'sent,delivered,read');
    expect(inOrder.length).toBeLessThan(20);
  });

  it('are retried with the same bytes until they are answered 200, and given up after attemptsMax', async () => {
    const { target, receiver } = await pair({
      webhook: { retryDelayMs: 5, attemptsMax: 3 },
      statuses: { deliveredProbability: 0 },
    });
    receiver.answers = [500, 503];
    await accepted(target, text());
    await receiver.until(() => receiver.hooks.length === 3);
    expect(new Set(receiver.hooks.map((hook) => hook.raw)).size).toBe(1);
    await eventually(() => target.stats().webhooks.delivered === 1);
    receiver.answers = [500, 500, 500];
    await accepted(target, text());
    await eventually(() => target.stats().webhooks.gaveUp === 1);
    expect(receiver.hooks).toHaveLength(6);
    expect(target.stats().webhooks).toMatchObject({ retries: 4, pending: 0, lastStatus: 500 });
  });

  it('can overtake the answer to the send', async () => {
    const { target, receiver } = await pair({
      statuses: { ...FAST, beforeAnswer: true, sentDelayMs: 0 },
      latencyMsMin: 3000,
      latencyMsMax: 3000,
    });
    let answered = false;
    const sending = accepted(target, text()).then(() => (answered = true));
    await receiver.until(() => receiver.statuses.length > 0);
    expect(answered).toBe(false);
    await sending;
  });

  it('go to the address of the number when it has one of its own', async () => {
    const { target, receiver } = await pair({ statuses: { deliveredProbability: 0 } });
    const own = await Receiver.start();
    target.patch({ numbers: { 2000: { webhookUrl: own.url } } });
    await accepted(target, text(), '2000');
    await own.until(() => own.statuses.length === 1);
    await accepted(target, text());
    await receiver.until(() => receiver.statuses.length === 1);
    expect(own.statuses).toHaveLength(1);
  });
});

describe('inbound', () => {
  it('a customer writes: contacts, message and context are as Meta sends them', async () => {
    const { target, receiver } = await pair();
    const id = await accepted(target, text());
    const body = {
      phoneNumberId: NUMBER,
      from: CUSTOMER,
      name: 'Anna',
      type: 'interactive',
      interactive: { type: 'button_reply', button_reply: { id: 'y', title: 'Yes' } },
      context: { message_id: id },
      wait: true,
    };
    const answer = await control(target, 'POST', '/inbound', body);
    expect(answer).toMatchObject({ status: 200, body: { delivered: true, webhookStatus: 200 } });
    const value = receiver.hooks.flatMap(({ raw }) => values(raw)).find((entry) => 'messages' in entry);
    expect(value).toMatchObject({
      contacts: [{ profile: { name: 'Anna' }, wa_id: '491701234567' }],
      messages: [
        {
          from: '491701234567',
          id: expect.stringMatching(/^wamid\./) as string,
          timestamp: expect.stringMatching(/^\d{10}$/) as string,
          type: 'interactive',
          interactive: { type: 'button_reply', button_reply: { id: 'y', title: 'Yes' } },
          context: { id },
        },
      ],
    });
  });

  it('media sent as base64 can be fetched like a customer’s picture', async () => {
    const { target, receiver } = await pair();
    const image = { data: Buffer.from('picture').toString('base64'), mime_type: 'image/png', caption: 'Look' };
    await target.inbound({ phoneNumberId: NUMBER, from: CUSTOMER, type: 'image', image, wait: true });
    const sent = receiver.messages[0]?.['image'] as { id: string; caption: string; sha256: string };
    expect(sent).toMatchObject({ caption: 'Look', mime_type: 'image/png' });
    const headers = { authorization: 'Bearer t' };
    const about = (await (await fetch(`${target.apiUrl}/${sent.id}`, { headers })).json()) as { url: string };
    expect(await (await fetch(about.url, { headers })).text()).toBe('picture');
  });

  it.each([
    [{ text: 'x' }, 'from'],
    [{ from: 'anna', text: 'x' }, 'from'],
    [{ from: CUSTOMER, text: '' }, 'text'],
    [{ from: CUSTOMER, type: 'image' }, 'image'],
    [{ from: CUSTOMER, type: 'hologram' }, 'type'],
  ])('refuses %j and names the field', async (body, field) => {
    const target = await emulator();
    const answer = await control(target, 'POST', '/inbound', { phoneNumberId: NUMBER, ...body });
    expect(answer).toMatchObject({ status: 400, body: { error: { problems: [{ field }] } } });
  });
});

describe('verification handshake', () => {
  it('says whether the webhook repeats the challenge', async () => {
    const { target } = await pair();
    expect((await control(target, 'POST', '/webhook/verify', {})).body).toMatchObject({ verified: true, status: 200 });
    const wrong = await control(target, 'POST', '/webhook/verify', { verifyToken: 'another' });
    expect(wrong.body).toMatchObject({ verified: false, status: 403 });
    const nowhere = await control(await emulator(), 'POST', '/webhook/verify', {});
    expect(nowhere.status).toBe(400);
  });
});
