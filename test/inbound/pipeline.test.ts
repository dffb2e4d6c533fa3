import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../support/postgres.ts';
import { eventually } from '../support/services.ts';
import { cloudCorpus } from './corpus/cloud.ts';
import type { Corpus, Sample } from './corpus/corpus.ts';
import { evolutionCorpus } from './corpus/evolution.ts';
import { twilioCorpus } from './corpus/twilio.ts';
import { EVENTS_SECRET, PHONE_NUMBER_ID, type Receiver, startReceiver, startWorld, type World } from './support.ts';

/*
 * From the provider's POST to the product: route, proof, job, record, event, reading; for every kind of webhook of the
 * provider facts, at all three providers.
 */

const SID = `AC${'0a'.repeat(16)}`;
const NUMBER = '+14155238886';
const LATE_MS = 20_000;

let product: Receiver;
let world: World;
const corpora: Partial<Record<string, { readonly sender: string; readonly corpus: Corpus; readonly phone: string }>> =
  {};

beforeAll(async () => {
  product = await startReceiver();
  world = await startWorld({ EVENTS_URL: product.url, EVENTS_SECRET, INBOUND_USER_LIMIT_PER_MINUTE: '0' });
  // Statuses are posted by these tests, each at its own time.
  world.emulator.patch({ webhook: { url: null } });
  const apiUrl = world.emulator.url;
  const evolution = { apiKey: 'key', webhookToken: 'evolution-word' };
  for (const sender of [
    { id: 'evo', provider: 'evolution', externalId: 'salon', apiUrl, credentials: evolution },
    {
      id: 'tw',
      provider: 'twilio',
      externalId: `whatsapp:${NUMBER}`,
      apiUrl,
      credentials: { accountSid: SID, authToken: 'twilio-token' },
    },
  ]) {
    const pace = { pairGapMs: 0, pairBucketCapacity: 0, ratePerSecond: 500, burst: 50, concurrency: 50 };
    expect(await world.call('POST', '/admin/senders', { ...sender, ...pace })).toMatchObject({ status: 201 });
  }
  corpora['cloud'] = {
    sender: 'default',
    corpus: cloudCorpus('app-secret', PHONE_NUMBER_ID),
    phone: '+4915100000001',
  };
  corpora['evolution'] = {
    sender: 'evo',
    corpus: evolutionCorpus('evolution-word', 'evo', 'salon'),
    phone: '+4915100000002',
  };
  corpora['twilio'] = {
    sender: 'tw',
    corpus: twilioCorpus('twilio-token', world.url, 'tw', NUMBER),
    phone: '+4915100000003',
  };
});
afterAll(async () => {
  await world.stop();
  await product.close();
});

const of = (provider: string) => {
  const found = corpora[provider];
  if (found === undefined) throw new Error(`no corpus of ${provider}`);
  return found;
};

async function post({ path, body, headers }: Sample['post']): Promise<void> {
  const answer = await fetch(world.url + path, { method: 'POST', body, headers });
  const text = await answer.text();
  expect({ status: answer.status, text }).toEqual({ status: 200, text: '{"received":true}' });
}

const database = () => world.databaseUrl;
const countOf = async (sender: string) =>
  (
    await sql<{ n: number }>(database(), 'select count(*)::integer as n from inbound_messages where sender = $1', [
      sender,
    ])
  )[0]?.n ?? 0;
const isIdle = async () => {
  const { body } = await world.call('GET', '/admin/queue/stats/webhook');
  return body['waiting'] === 0 && body['active'] === 0 && body['delayed'] === 0 ? body : undefined;
};
/** Everything that the product was told of a sender's incoming messages, by the provider's id. */
const toldOf = (sender: string) =>
  product.received.filter(({ body }) => body.type === 'message.received' && body.data['sender'] === sender);

describe.each(['cloud', 'evolution', 'twilio'])('R7 · Q3 · %s, from the POST to the product', (provider) => {
  it('every kind of webhook becomes what it means, is told, and can be read', async () => {
    const { sender, corpus, phone } = of(provider);
    const messages = corpus.samples.filter(({ kind }) => kind === 'message');
    for (const sample of corpus.samples) await post(sample.post);
    await eventually(async () => (await countOf(sender)) === messages.length, { timeoutMs: LATE_MS });
    await eventually(() => toldOf(sender).length === messages.length, { timeoutMs: LATE_MS });

    const rows = await sql<{ id: string; type: string }>(
      database(),
      'select provider_message_id as id, type from inbound_messages where sender = $1',
      [sender],
    );
    const wanted = messages.map(({ id, type }) => ({ id, type }));
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    expect([...rows].sort(byId)).toEqual([...wanted].sort(byId));

    const told = toldOf(sender).map(({ body: { data } }) => data);
    for (const { id, type } of messages) {
      const data = told.find((one) => one['providerMessageId'] === id);
      expect(data, `${type} ${id}`).toMatchObject({ tenant: 'default', conversation: phone, type, contact: { phone } });
      expect(data?.[type], type).toEqual(expect.any(Object));
    }
    expect(told.map((data) => Number(data['sequence'])).sort((a, b) => a - b)).toEqual(
      messages.map((_, index) => index + 1),
    );

    const id = encodeURIComponent(phone);
    const thread = await world.call('GET', `/v1/conversations/${id}?sender=${sender}`);
    // A connection of Evolution has no window: free-form messages may always go.
    const window = provider === 'evolution' ? null : { open: true };
    expect(thread.body).toMatchObject({ id: phone, unread: messages.length, window });
    const page = await world.call('GET', `/v1/conversations/${id}/messages?sender=${sender}&limit=200`);
    const items = page.body['items'] as { direction: string; type: string; providerMessageId: string }[];
    expect(items.map((item) => ({ id: item.providerMessageId, type: item.type })).sort(byId)).toEqual(
      [...wanted].sort(byId),
    );

    const events = corpus.samples.filter(({ kind }) => kind !== 'message');
    const kinds = await eventually(async () => {
      const found = await sql<{ kind: string; n: number }>(
        database(),
        'select kind, count(*)::integer as n from provider_events where provider = $1 group by kind',
        [provider],
      );
      return found.reduce((sum, { n }) => sum + n, 0) === events.length ? found : undefined;
    });
    const counts = Object.fromEntries(kinds.map(({ kind, n }) => [kind, n]));
    const expected: Record<string, number> = {};
    for (const { kind } of events) expected[kind] = (expected[kind] ?? 0) + 1;
    expect(counts).toEqual(expected);
  });

  it('P10 · F41 · all of it again, and once more in parallel, changes and tells nothing', async () => {
    const { sender, corpus } = of(provider);
    const before = await countOf(sender);
    const told = toldOf(sender).length;
    for (const sample of corpus.samples) await post(sample.post);
    await Promise.all(corpus.samples.map((sample) => post(sample.post)));
    await eventually(isIdle, { timeoutMs: LATE_MS });
    expect(await countOf(sender)).toBe(before);
    expect(toldOf(sender)).toHaveLength(told);
  });

  it('a forged proof takes nothing in', async () => {
    const { sender, corpus } = of(provider);
    const before = await countOf(sender);
    for (const real of corpus.batch(3, (index) => `49151111${index}0000`)) {
      const headers = Object.fromEntries(
        Object.entries(real.headers).map(([name, value]): [string, string] => [
          name,
          name === 'content-type' ? value : `${value}x`,
        ]),
      );
      const answer = await fetch(world.url + real.path, { method: 'POST', body: real.body, headers });
      expect(answer.status).toBe(401);
    }
    expect(await isIdle()).toBeDefined();
    expect(await countOf(sender)).toBe(before);
  });

  it('a mixed batch of a thousand messages of all types, posted twice: none lost, none doubled', async () => {
    const { sender, corpus } = of(provider);
    // Only Meta puts so many into one post; Twilio makes a post of every message.
    const count = { cloud: 1000, evolution: 300, twilio: 100 }[provider] ?? 0;
    const before = await countOf(sender);
    const told = toldOf(sender).length;
    const posts = corpus.batch(count, (index) => `4917${provider.length}${String(index % 100).padStart(7, '0')}`);
    await Promise.all([...posts, ...posts].map(post));
    await eventually(async () => (await countOf(sender)) >= before + count, { timeoutMs: LATE_MS });
    await eventually(() => toldOf(sender).length >= told + count, { timeoutMs: 40_000 });
    await eventually(isIdle, { timeoutMs: LATE_MS });
    expect(await countOf(sender)).toBe(before + count);
    expect(new Set(toldOf(sender).map(({ headers }) => headers['webhook-id'])).size).toBe(told + count);
  }, 90_000);

  it('F40 · statuses five-fold, shuffled, early and late end where the ordered ones end', async () => {
    const { sender, corpus } = of(provider);
    const { words } = corpus;
    const lives = [
      [words.sent, words.delivered, words.read],
      [words.sent, words.delivered],
      [words.sent],
      [words.sent, words.failed],
      // On a second device it failed, and it was delivered on the first.
      [words.sent, words.delivered, words.failed],
      [words.read],
    ];
    const send = async (conversation: string) => {
      const accepted = await world.call('POST', '/v1/messages', {
        to: '+4915122222222',
        sender,
        conversation,
        type: 'text',
        text: { body: 'hi' },
      });
      const id = String(accepted.body['id']);
      const sent = await eventually(
        async () => {
          const { body } = await world.call('GET', `/v1/messages/${id}`);
          return body['providerMessageId'] === null ? undefined : body;
        },
        { timeoutMs: LATE_MS },
      );
      return { id, providerMessageId: String(sent['providerMessageId']) };
    };
    const statusOf = async (id: string) => String((await world.call('GET', `/v1/messages/${id}`)).body['status']);
    const nowMs = Date.now();
    const live = async (life: readonly string[], index: number): Promise<void> => {
      const [ordered, shuffled] = await Promise.all([send(`${provider}-o${index}`), send(`${provider}-s${index}`)]);
      for (const [place, word] of life.entries()) {
        await post(corpus.status(ordered.providerMessageId, word, nowMs + place * 1000));
      }
      const many = [0, 1, 2, 3, 4].flatMap(() => life.map((word, place) => ({ word, atMs: nowMs + place * 1000 })));
      // The worst order: the last word first, and the first ones again at the end.
      many.reverse();
      for (const { word, atMs } of many) await post(corpus.status(shuffled.providerMessageId, word, atMs));
      const final = {
        [words.read]: ['read'],
        [words.delivered]: ['delivered'],
        [words.failed]: ['failed', 'deferred'],
      };
      const best = life.includes(words.delivered) && life.includes(words.failed) ? words.delivered : life.at(-1);
      const wanted = final[best ?? ''] ?? ['sent'];
      // What failed is first recorded as such, and then waits for its slow retry.
      await eventually(
        async () => {
          const [ofOrdered, ofShuffled] = await Promise.all([statusOf(ordered.id), statusOf(shuffled.id)]);
          return wanted.includes(ofOrdered) && ofShuffled === ofOrdered;
        },
        { timeoutMs: LATE_MS, what: `${provider} ${life.join(' ')}` },
      );
    };
    await Promise.all(lives.map(live));
  }, 90_000);
});

it('F40 · a status of a message that is not known yet waits for it', async () => {
  const { corpus } = of('cloud');
  const id = `wamid.early.${process.pid}`;
  await post(corpus.status(id, 'delivered', Date.now()));
  const kept = await eventually(async () => {
    const rows = await sql(database(), 'select status from status_events where provider_message_id = $1', [id]);
    return rows.length === 1 ? rows : undefined;
  });
  expect(kept).toEqual([{ status: 'delivered' }]);
});
