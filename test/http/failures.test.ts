import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MessageError } from '../../src/model/message.ts';
import type { NewInboundMessage, RecordedMessage } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually } from '../support/eventually.ts';
import { startApi, text, type Api, type Call } from './support/api.ts';

/* The routes of failures and dead letters over a real record; who may call them stands in access.test.ts. */

const REFUSED: MessageError = { code: 'X', providerCode: '131026', title: 'X', detail: 'X.', retryable: false };
let api: Api;
let tokens: Record<'viewer' | 'operator', string>;

beforeAll(async () => {
  api = await startApi();
  tokens = { viewer: await api.token('viewer'), operator: await api.token('operator') };
});
afterAll(() => api.close());

async function call(request: Call, role: keyof typeof tokens = 'operator') {
  const answer = await api.call({ ...request, as: tokens[role] });
  return { status: answer.statusCode, body: answer.json<Record<string, unknown>>() };
}
const act = (word: string, body: unknown) => call({ method: 'POST', url: `/admin/dead-letters/${word}`, body });
async function send(more: Record<string, unknown> = {}): Promise<string> {
  const answer = await api.call({ method: 'POST', url: '/v1/messages', body: text(more) });
  return answer.json<{ id: string }>().id;
}
async function dead(more: Record<string, unknown> = {}): Promise<string> {
  const id = await send(more);
  api.queue.fail(id, REFUSED);
  await api.recorded();
  return id;
}

/** The person of this message says something, in the conversation that is named after them. */
async function writes(to: RecordedMessage | null): Promise<void> {
  if (to === null) throw new Error('The message is not recorded.');
  const { tenant, sender, contact } = to;
  const nowMs = Date.now();
  const message: NewInboundMessage = {
    ...{ tenant, sender, webhookId: newId(), providerMessageId: newId(), isEcho: false, type: 'text' },
    ...{ content: { body: 'Hello' }, replyTo: null, referral: null, providerAtMs: nowMs, receivedAtMs: nowMs },
    ...{ aliases: [{ kind: 'e164', value: contact }], name: null, conversation: contact },
    windowUntilMs: nowMs + 86_400_000,
  };
  await api.record.inbound.add({ messages: [message], webhooks: [], events: [] });
}

describe('Bad input', () => {
  test('an unknown failure, dead letter or id of a redrive is 404, also one that is no id at all', async () => {
    for (const id of [newId(), 'nonsense']) {
      for (const url of [`/admin/failures/${id}`, `/admin/dead-letters/${id}`]) {
        const { status, body } = await call({ url });
        expect(status, url).toBe(404);
        expect(body['code']).toBe('NOT_FOUND');
      }
      for (const word of ['redrive', 'discard']) {
        const { status, body } = await act(word, { ids: [id] });
        expect(status).toBe(404);
        expect(body).toMatchObject({ code: 'NOT_FOUND', field: 'ids' });
      }
    }
  });

  test('a redrive of a message that is on its way, or was sent, is 409 and changes nothing for the others named', async () => {
    const [letter, waiting, sent] = [await dead(), await send(), await send()];
    api.queue.send(sent);
    await api.recorded();
    for (const id of [waiting, sent]) {
      const { status, body } = await act('redrive', { ids: [letter, id] });
      expect(status).toBe(409);
      expect(body).toMatchObject({ code: 'CONFLICT', field: 'ids' });
      expect(String(body['detail'])).toContain(id);
    }
    expect((await call({ url: `/admin/dead-letters/${letter}` })).status).toBe(200);
  });

  test('neither ids nor filter, both, an unknown field, a wrong time or a wrong cursor is 400 with its field', async () => {
    const wrong: [Call, field: string][] = [
      [{ method: 'POST', url: '/admin/dead-letters/redrive', body: {} }, 'ids'],
      [{ method: 'POST', url: '/admin/dead-letters/redrive', body: { ids: [newId()], filter: {} } }, 'ids'],
      [{ method: 'POST', url: '/admin/dead-letters/redrive', body: { ids: [] } }, 'ids'],
      [{ method: 'POST', url: '/admin/dead-letters/discard', body: { filter: { tenat: 'x' } } }, 'filter.tenat'],
      [{ method: 'POST', url: '/admin/dead-letters/discard', body: { filter: {}, after: 'x' } }, 'after'],
      [{ url: '/admin/failures?status=LOST' }, 'status'],
      [{ url: '/admin/failures?from=yesterday' }, 'from'],
      [{ url: '/admin/failures?cursor=x' }, 'cursor'],
      [{ url: '/admin/dead-letters?cursor=x' }, 'cursor'],
      [{ url: '/admin/dead-letters?limit=0' }, 'limit'],
    ];
    for (const [request, field] of wrong) {
      const { status, body } = await call(request);
      expect(status, request.url).toBe(400);
      expect(body, request.url).toMatchObject({ code: 'REQUEST_INVALID', field });
    }
  });

  test('a filter that matches nothing is 200 and says so', async () => {
    for (const word of ['redrive', 'discard']) {
      const { status, body } = await act(word, { filter: { code: 'nobody-has-this' } });
      expect(status).toBe(200);
      expect(body).toMatchObject({ matched: 0, affected: 0, more: false, next: null, items: [] });
      expect(body['sentence']).toBe('No dead letter matches; nothing was done.');
    }
  });
});

describe('S12 · dead letters', () => {
  test('F7 · permanent failures are listed newest first, page after page, and by state, tenant, code and number', async () => {
    const ids = [
      await dead({ tenant: 'listing' }),
      await dead({ tenant: 'listing' }),
      await dead({ tenant: 'listing' }),
    ];
    const first = await call({ url: '/admin/failures?status=FAILED&tenant=listing&limit=2' }, 'viewer');
    const idsOf = ({ body }: { body: Record<string, unknown> }) =>
      (body['items'] as { id: string }[]).map(({ id }) => id);
    expect(idsOf(first)).toEqual([ids[2], ids[1]]);
    const next = String(first.body['next']);
    expect(idsOf(await call({ url: `/admin/failures?status=FAILED&tenant=listing&limit=2&cursor=${next}` }))).toEqual([
      ids[0],
    ]);
    expect(idsOf(await call({ url: '/admin/failures?tenant=listing&code=131026' }))).toHaveLength(3);
    expect(idsOf(await call({ url: '/admin/failures?tenant=listing&status=PENDING' }))).toEqual([]);
    expect(idsOf(await call({ url: '/admin/failures?phoneNumber=%2B15550001111' }))).toEqual([]);
    expect(idsOf(await call({ url: '/admin/dead-letters?tenant=listing' }))).toEqual([...ids].reverse());
    const { body } = await call({ url: '/admin/failures/summary' }, 'viewer');
    expect(body).toMatchObject({ pending: 0, overdueStatuses: 0 });
    expect(body['codes']).toEqual(
      expect.arrayContaining([expect.objectContaining({ code: '131026', status: 'FAILED' })]),
    );
  });

  test('a dry run says what would be, does nothing, and is not in the audit; the deed is, with who did it', async () => {
    const id = await dead({ tenant: 'trying' });
    const acts = async () =>
      (await api.record.audit.list()).items.filter(({ action }) => action.startsWith('dead-letter'));
    const before = (await acts()).length;
    for (const word of ['redrive', 'discard']) {
      const { body } = await act(word, { filter: { tenant: 'trying' }, dryRun: true });
      expect(body).toMatchObject({ dryRun: true, matched: 1, affected: 1, items: [{ id, result: 'would' }] });
    }
    expect((await call({ url: `/admin/dead-letters/${id}` })).status).toBe(200);
    expect(await acts()).toHaveLength(before);
    expect((await act('discard', { ids: [id] })).body).toMatchObject({ affected: 1, items: [{ id, result: 'done' }] });
    expect((await call({ url: `/admin/dead-letters/${id}` })).status).toBe(404);
    expect((await acts())[0]).toMatchObject({
      actor: 'operator@example.com',
      action: 'dead-letter.discard',
      target: id,
    });
    const { body } = await call({ url: `/admin/failures/${id}` });
    expect(body).toMatchObject({ status: 'FAILED', metadata: { discardedBy: 'operator@example.com' } });
  });

  test('what has expired, or whose window is closed, is left with its reason; a template is not', async () => {
    // Refused when it has expired before it is asked for: far enough ahead for a busy machine.
    const expiresAtMs = Date.now() + 2500;
    const expired = await send({ tenant: 'late', expiresAt: new Date(expiresAtMs).toISOString() });
    api.queue.fail(expired, REFUSED);
    const closed = await send({ tenant: 'late' });
    api.queue.fail(closed, { ...REFUSED, providerCode: '131047' });
    const template = { type: 'template', text: undefined, template: { name: 'ready', language: { code: 'en' } } };
    const fine = await send({ tenant: 'late', ...template });
    api.queue.fail(fine, { ...REFUSED, providerCode: '131047' });
    await api.recorded();
    await eventually(() => Date.now() > expiresAtMs);
    const { body } = await act('redrive', { filter: { tenant: 'late' }, dryRun: true });
    const reasons = (body['items'] as { id: string; reason: string | null }[]).map(({ id, reason }) => [id, reason]);
    expect(Object.fromEntries(reasons)).toEqual({ [expired]: 'expired', [closed]: 'window-closed', [fine]: null });
    expect(body['sentence']).toBe('1 of 3 would be redriven.');
  });

  test('a word of the person in any of their conversations opens the window for what died in another', async () => {
    const id = await send({ tenant: 'own', conversation: 'order-17' });
    api.queue.fail(id, { ...REFUSED, providerCode: '131047' });
    await api.recorded();
    const reason = async () => {
      const { body } = await act('redrive', { ids: [id], dryRun: true });
      return (body['items'] as { reason: string | null }[])[0]?.reason;
    };
    expect(await reason()).toBe('window-closed');
    await writes(await api.record.messages.find(null, id));
    expect(await reason()).toBe(null);
  });

  test('what is skipped does not stand in the way of the next thousand', async () => {
    const ids = [await dead({ tenant: 'many' }), await dead({ tenant: 'many' })];
    const filter = { tenant: 'many' };
    const { body } = await act('redrive', { filter, dryRun: true, after: ids[0] });
    expect(body['items']).toEqual([expect.objectContaining({ id: ids[1] })]);
    expect(body).toMatchObject({ matched: 2, more: false, next: null });
  });

  test('export is one JSON object per line, newest first, as far as the filter goes; nothing is an empty body', async () => {
    const ids = [await dead({ tenant: 'export' }), await dead({ tenant: 'export' })];
    const answer = await api.call({ url: '/admin/dead-letters/export?tenant=export', as: tokens.viewer });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toContain('application/x-ndjson');
    expect(answer.body.endsWith('\n')).toBe(true);
    const lines = answer.body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ id }) => id)).toEqual([...ids].reverse());
    expect(lines[0]).toMatchObject({ code: '131026', attempts: [], failure: { status: 'FAILED' }, type: 'text' });
    const nothing = await api.call({ url: '/admin/dead-letters/export?tenant=nobody', as: tokens.viewer });
    expect([nothing.statusCode, nothing.body]).toEqual([200, '']);
  });

  test('viewers read and do not act', async () => {
    for (const word of ['redrive', 'discard']) {
      const request = {
        method: 'POST',
        url: `/admin/dead-letters/${word}`,
        body: { filter: {}, dryRun: true },
      } as const;
      expect((await call(request, 'viewer')).status).toBe(403);
    }
  });
});
