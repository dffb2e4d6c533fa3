import { beforeAll, describe, expect, it } from 'vitest';
import type { MessageFilter } from '../../src/record/index.ts';
import { newId } from '../../src/util/ids.ts';
import { accepted, BASE_MS, sent } from './support/events.ts';
import { logOf, recordAll, recordOfFile } from './support/record.ts';

const { url, record } = await recordOfFile();
/** In the order of creation; pairs share a millisecond. */
const created: { id: string; tenant: string; conversation: string; atMs: number; sender: string }[] = [];

beforeAll(async () => {
  for (let index = 0; index < 60; index++) {
    const atMs = BASE_MS + Math.floor(index / 2) * 1_000;
    created.push({
      id: newId(atMs),
      tenant: index % 3 === 0 ? 'b' : 'a',
      conversation: `c${index % 4}`,
      sender: index % 5 === 0 ? 'other' : 'default',
      atMs,
    });
  }
  await recordAll(
    url,
    logOf(
      ...created.map(({ id, ...rest }, index) => [
        accepted({ messageId: id, ...rest }),
        ...(index % 2 === 0 ? [sent(id, `wamid.${id}`)] : []),
      ]),
    ),
  );
});

/** Walks all pages. */
async function walk(filter: MessageFilter): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await record.messages.list({ ...filter, cursor });
    expect(page.items.length).toBeLessThanOrEqual(filter.limit ?? 50);
    ids.push(...page.items.map((item) => item.id));
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return ids;
}

function newestFirst(matches: (message: (typeof created)[number], index: number) => boolean): string[] {
  return created
    .filter(matches)
    .sort((a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1))
    .map((message) => message.id);
}

describe('messages.list()', () => {
  it.each([1, 7, 50, 200])('walks every message once, newest first, in pages of %i', async (limit) => {
    expect(await walk({ tenant: 'a', limit })).toEqual(newestFirst((message) => message.tenant === 'a'));
    expect(await walk({ tenant: null, limit })).toEqual(newestFirst(() => true));
  });

  it('filters by conversation, status, sender and time, together', async () => {
    const fromMs = BASE_MS + 5_000;
    const toMs = BASE_MS + 20_000;
    expect(await walk({ tenant: 'a', conversation: 'c1', limit: 3 })).toEqual(
      newestFirst((message) => message.tenant === 'a' && message.conversation === 'c1'),
    );
    expect(await walk({ tenant: 'a', status: 'sent', limit: 3 })).toEqual(
      newestFirst((message, index) => message.tenant === 'a' && index % 2 === 0),
    );
    expect(await walk({ tenant: 'a', sender: 'other', fromMs, toMs, limit: 2 })).toEqual(
      newestFirst(
        (message) =>
          message.tenant === 'a' && message.sender === 'other' && message.atMs >= fromMs && message.atMs < toMs,
      ),
    );
    expect(await walk({ tenant: 'a', status: 'cancelled' })).toEqual([]);
  });

  it('gives no more than 200 at once and no further page after the last', async () => {
    const page = await record.messages.list({ tenant: null, limit: 100_000 });
    expect(page).toMatchObject({ next: null });
    expect(page.items).toHaveLength(60);
    const exact = await record.messages.list({ tenant: null, limit: 60 });
    expect(exact.next).toBeNull();
  });

  it.each([
    '',
    'nonsense',
    Buffer.from('[1]').toString('base64url'),
    Buffer.from('[1,"x"]').toString('base64url'),
    Buffer.from('["a","b"]').toString('base64url'),
  ])('refuses the cursor %j', async (cursor) => {
    await expect(record.messages.list({ tenant: 'a', cursor })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      field: 'cursor',
    });
  });
});

describe("another tenant's message", () => {
  it('is as unknown as one that never was', async () => {
    const own = created.find((message) => message.tenant === 'a')?.id ?? '';
    expect(await record.messages.find('a', own)).not.toBeNull();
    for (const id of [own, newId(), 'no id', "' or 1=1 --"]) {
      expect(await record.messages.find('b', id)).toBeNull();
      expect(await record.messages.timeline('b', id)).toBeNull();
      expect(await record.messages.attempts('b', id)).toEqual([]);
    }
    const contact = (await record.messages.find('a', own))?.contactId ?? '';
    expect(await record.contacts.get('a', contact)).not.toBeNull();
    expect(await record.contacts.get('b', contact)).toBeNull();
  });
});

describe('conversations and contacts', () => {
  it('are listed last active first, in pages', async () => {
    const first = await record.conversations.list('a', { limit: 5 });
    const rest = await record.conversations.list('a', { limit: 5, cursor: first.next ?? '' });
    const all = [...first.items, ...rest.items];
    expect(rest.next).toBeNull();
    expect(new Set(all.map((item) => `${item.sender}/${item.id}`)).size).toBe(all.length);
    const times = all.map((item) => item.lastMessageAtMs);
    expect(times).toEqual([...times].sort((a, b) => b - a));
    expect(all.reduce((sum, item) => sum + item.messagesOut, 0)).toBe(
      created.filter((message) => message.tenant === 'a').length,
    );
    expect(
      (await record.conversations.list('a', { sender: 'other' })).items.every((item) => item.sender === 'other'),
    ).toBe(true);
    expect((await record.contacts.list('a')).items).toHaveLength(1);
  });
});
