import { describe, expect, it } from 'vitest';
import { createHistory } from '../../src/inbound/responder/history.ts';
import { cacheServer, openCache } from '../cache/support/open-cache.ts';

/* What a responder hears of what was said before. */

const { server } = await cacheServer();
const PLACE = { tenant: 'salon', sender: 'main', conversation: 'c' };
const MINUTE_MS = 60_000;

const said = (n: number, tenant = 'salon') => ({
  tenant,
  item: { id: `m${n}`, isFromPerson: true, type: 'text', content: { body: `${n}` }, createdAtMs: n },
});

async function open() {
  const { service } = await openCache(server.url);
  const { conversationHistory: cache, conversationSaid } = service.named;
  const record = {
    said: [] as ReturnType<typeof said>[],
    reads: 0,
    /** While the record is read, after it gave its rows. */
    meanwhile: () => Promise.resolve(),
  };
  const newest = async ({ tenant }: { readonly tenant: string }, limit: number) => {
    record.reads += 1;
    const items = record.said.filter((one) => one.tenant === tenant).map(({ item }) => item);
    await record.meanwhile();
    return items.toReversed().slice(0, limit);
  };
  let nowMs = 0;
  const chat = { newest };
  const history = createHistory({ chat, cache, said: conversationSaid, ttlMs: MINUTE_MS, now: () => nowMs });
  return {
    record,
    cache,
    history,
    pass: (ms: number) => (nowMs += ms),
    before: async (id: string, place = PLACE) => (await history.before(place, id)).map((item) => item.id),
  };
}

describe('the history of a conversation', () => {
  it('P7 · is the newest 20 before the message, the oldest first', async () => {
    const { record, before } = await open();
    record.said = Array.from({ length: 30 }, (_, n) => said(n));
    expect(await before('m29')).toEqual(Array.from({ length: 20 }, (_, n) => `m${n + 9}`));
  });

  it('P2 · is read once, and again after CACHE_CONVERSATION_TTL, however busy the conversation is', async () => {
    const { record, before, pass } = await open();
    record.said = [said(1)];
    expect([await before('m2'), await before('m2')]).toEqual([['m1'], ['m1']]);
    expect(record.reads).toBe(1);
    record.said.push(said(2));
    pass(MINUTE_MS - 1);
    expect(await before('m4')).toEqual(['m1']);
    pass(1);
    expect(await before('m4')).toEqual(['m1', 'm2']);
  });

  it('P7 · has what was just said, in its place, also before the record knows it', async () => {
    const { record, cache, before, history } = await open();
    record.said = [said(1), said(3)];
    const reply = { id: 'r2', direction: 'outbound', type: 'text', at: new Date(2).toISOString() } as const;
    await history.add(PLACE, [{ ...reply, id: 'm1', at: new Date(1).toISOString() }, reply]);
    expect(await before('m3')).toEqual(['m1', 'r2']);
    await cache.evict(PLACE.conversation);
    expect(await before('m3')).toEqual(['m1', 'r2']);
    expect(await before('m3', { ...PLACE, tenant: 'clinic' })).toEqual([]);
  });

  it('P2 · does not keep what was said anew while it was read', async () => {
    const { record, cache, before } = await open();
    record.said = [said(1)];
    record.meanwhile = async () => {
      record.said.push(said(2));
      await cache.evict(PLACE.conversation);
      record.meanwhile = () => Promise.resolve();
    };
    expect(await before('m3')).toEqual(['m1']);
    expect(await before('m3')).toEqual(['m1', 'm2']);
  });

  it('P7 · is of its own tenant, also where two call their conversations the same', async () => {
    const { record, before } = await open();
    record.said = [said(1), said(2, 'clinic')];
    for (let time = 0; time < 2; time += 1) {
      expect(await before('m9')).toEqual(['m1']);
      expect(await before('m9', { ...PLACE, tenant: 'clinic' })).toEqual(['m2']);
    }
  });
});
