import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createEventDispatcher, createEventSecrets, EVENT_SCHEDULE_MS, judge } from '../../src/inbound/index.ts';
import { openRecord, type WaxwingRecord } from '../../src/record/index.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { createGuardedFetch } from '../../src/util/guarded-fetch/index.ts';
import { sql } from '../support/postgres.ts';
import { eventually, testDatabase } from '../support/services.ts';
import { EVENTS_SECRET, PHONE_NUMBER_ID, type Receiver, startReceiver, startWorld, type World } from './support.ts';

const OLD_SECRET = 'the-secret-before-the-change';

describe('events of the whole program', () => {
  let product: Receiver;
  let world: World;
  beforeAll(async () => {
    product = await startReceiver();
    world = await startWorld({ EVENTS_URL: product.url, EVENTS_SECRET: `${EVENTS_SECRET},${OLD_SECRET}` });
  });
  afterAll(async () => {
    await world.stop();
    await product.close();
  });
  beforeEach(() => {
    product.received.length = 0;
    product.answer = () => ({});
  });

  const of = (conversation: string) =>
    product.received.filter(({ body }) => body.data['conversation'] === conversation);
  const typesOf = (conversation: string) =>
    [...of(conversation)]
      .sort((a, b) => Number(a.body.data['sequence']) - Number(b.body.data['sequence']))
      .map(({ body }) => body.type);

  it("an incoming message is told, signed with every secret, with its number and the provider's id", async () => {
    const result = await world.emulator.inbound({
      phoneNumberId: PHONE_NUMBER_ID,
      from: '+447700900201',
      name: 'Ben',
      text: { body: 'hello' },
    });
    const told = await eventually(() => of('+447700900201').at(0));
    for (const secret of [new Webhook(EVENTS_SECRET), new Webhook(OLD_SECRET, { format: 'raw' })]) {
      expect(secret.verify(told.text, told.headers as Record<string, string>)).toMatchObject({
        type: 'message.received',
      });
    }
    expect(() =>
      new Webhook('another-secret-entirely', { format: 'raw' }).verify(
        told.text,
        told.headers as Record<string, string>,
      ),
    ).toThrow();
    expect(told.body.data).toMatchObject({
      tenant: 'default',
      conversation: '+447700900201',
      sequence: 1,
      contact: { name: 'Ben', phone: '+447700900201' },
      providerMessageId: result.messages[0].id,
      type: 'text',
      text: { body: 'hello' },
    });
  });

  it('F37 · a sent message is told once per change, in numbers without gaps', async () => {
    const { body } = await world.call('POST', '/v1/messages', {
      to: '+447700900202',
      conversation: 'c202',
      type: 'text',
      text: { body: 'hi' },
      metadata: { order: 7 },
    });
    const numbersOf = (conversation: string) =>
      of(conversation)
        .map(({ body: { data } }) => Number(data['sequence']))
        .sort((one, other) => one - other);
    // Events may overtake each other on their way: all up to the last are waited for.
    await eventually(
      () => typesOf('c202').at(-1) === 'message.read' && numbersOf('c202').length === numbersOf('c202').at(-1),
    );
    expect(numbersOf('c202')).toEqual(numbersOf('c202').map((_, index) => index + 1));
    // What happens within one batch of the record is told as what came of it: a busy machine may tell the end alone.
    const ranks = typesOf('c202').map((type) => ['message.sent', 'message.delivered', 'message.read'].indexOf(type));
    expect(ranks).toEqual([...new Set(ranks)].sort((one, other) => one - other));
    expect(ranks.at(-1)).toBe(2);
    expect(of('c202')[0]?.body.data).toMatchObject({
      id: body['id'],
      metadata: { order: 7 },
      providerMessageId: expect.stringMatching(/^wamid\./) as string,
    });
  });

  it('a message that fails is told with its error', async () => {
    world.emulator.addRule({ match: { recipient: '+447700900203' }, action: { kind: 'error', code: 131026 } });
    await world.call('POST', '/v1/messages', {
      to: '+447700900203',
      conversation: 'c203',
      type: 'text',
      text: { body: 'hi' },
    });
    const told = await eventually(() => of('c203').at(0));
    expect(told.body).toMatchObject({
      type: 'message.failed',
      data: { status: 'failed', error: { providerCode: '131026' } },
    });
  });

  it("a tenant's own address gets its events, with a secret of its own, and EVENTS_URL does not", async () => {
    const own = await startReceiver();
    await world.call('POST', '/admin/tenants', { id: 'salon7', eventsUrl: own.url });
    const secret = (await world.call('GET', '/admin/events/endpoints/salon7/secret')).body['secrets'] as string[];
    await world.call('POST', '/v1/messages', {
      tenant: 'salon7',
      to: '+447700900204',
      conversation: 'c204',
      type: 'text',
      text: { body: 'hi' },
    });
    const told = await eventually(() => own.received.at(0));
    expect(secret).toHaveLength(2);
    expect((await world.call('POST', '/admin/events/endpoints/salon7/enable')).body['code']).toBe('CONFLICT');
    expect((await world.call('POST', '/admin/events/endpoints/nobody/enable')).body['code']).toBe('NOT_FOUND');
    expect(new Webhook(secret[0] ?? '').verify(told.text, told.headers as Record<string, string>)).toBeTruthy();
    expect(() => new Webhook(EVENTS_SECRET).verify(told.text, told.headers as Record<string, string>)).toThrow();
    expect(of('c204')).toEqual([]);
    await own.close();
  });

  it('lists events and sends them again with the same id', async () => {
    await world.emulator.inbound({ phoneNumberId: PHONE_NUMBER_ID, from: '+447700900205', text: { body: 'again' } });
    const first = await eventually(() => of('+447700900205').at(0));
    const list = await eventually(async () => {
      const { body } = await world.call('GET', '/admin/events?state=delivered&conversation=%2B447700900205');
      return (body['items'] as { id: string }[]).length === 1 ? body : undefined;
    });
    const [item] = list['items'] as { id: string; data?: unknown }[];
    expect(item?.id).toBe(first.headers['webhook-id']);
    expect(item?.data).toBeUndefined();
    expect(
      (await world.call('POST', '/admin/events/replay', { conversation: '+447700900205', dryRun: true })).body,
    ).toEqual({
      found: 1,
      replayed: 0,
      dryRun: true,
    });
    expect((await world.call('POST', '/admin/events/replay', { ids: [item?.id] })).body).toMatchObject({ replayed: 1 });
    const second = await eventually(() => of('+447700900205').at(1));
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.text).toBe(first.text);
  });
});

describe('the sending of events', () => {
  let record: WaxwingRecord;
  let databaseUrl: string;
  let product: Receiver;
  const running: { stop(graceMs: number): Promise<void> }[] = [];
  beforeAll(async () => {
    databaseUrl = (await testDatabase()).url;
    record = openRecord({
      databaseUrl,
      tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
      secretBox: createSecretBox({ key: 'secret-key-of-these-tests' }),
    });
  });
  beforeEach(async () => {
    for (const one of running.splice(0)) await one.stop(5000);
    product = await startReceiver();
    await record.eventsOut.setDefault(product.url);
  });
  afterAll(async () => {
    for (const one of running.splice(0)) await one.stop(5000);
    await record.close();
  });

  // No answer of a busy machine is too late for this one.
  const fetch = createGuardedFetch({ allowPrivate: true, timeoutMs: 10_000 });
  const impatient = createGuardedFetch({ allowPrivate: true, timeoutMs: 400 });
  function dispatch(more: Partial<Parameters<typeof createEventDispatcher>[0]> = {}) {
    const dispatcher = createEventDispatcher({
      outbox: record.eventsOut,
      fetch,
      secretsOf: createEventSecrets([EVENTS_SECRET], []),
      perEndpoint: 10,
      scheduleMs: [50, 100, 150],
      pollMs: 10,
      ...more,
    });
    running.push(dispatcher);
    dispatcher.start();
    return dispatcher;
  }
  let made = 0;
  async function tell(tenant: string | null = null, data: Record<string, unknown> = {}): Promise<string> {
    made += 1;
    const source = `test ${made}`;
    await record.eventsOut.add({
      source,
      tenant,
      sender: null,
      type: 'sender.updated',
      data: { n: made, ...data },
      occurredAtMs: Date.now(),
    });
    const { items } = await record.eventsOut.list({ limit: 200 });
    return items.find((item) => item.data['n'] === made)?.id ?? '';
  }
  const stateOf = async (id: string) => (await record.eventsOut.get(id))?.state;

  it('F39 · 500, a time-out, and a redirect are tried again by the schedule, and then they are dead letters', async () => {
    for (const answer of [
      { status: 500 },
      { waitMs: 60_000 },
      { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
    ]) {
      const isTimeOut = 'waitMs' in answer;
      product.received.length = 0;
      product.answer = () => answer;
      const dispatcher = dispatch(isTimeOut ? { fetch: impatient } : {});
      const id = await tell();
      await eventually(async () => (await stateOf(id)) === 'dead', { timeoutMs: 10_000 });
      expect((await record.eventsOut.get(id))?.attempts).toBe(4);
      // What was given up may not even have been read by a receiver that stood still.
      if (!isTimeOut) {
        expect(product.received).toHaveLength(4);
        const at = product.received.map(({ atMs }) => atMs);
        for (const [index, waitMs] of [50, 100, 150].entries()) {
          expect((at[index + 1] ?? 0) - (at[index] ?? 0)).toBeGreaterThanOrEqual(waitMs - 5);
        }
      }
      expect(new Set(product.received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([id]));
      await dispatcher.stop(5000);
    }
  });

  it('F39 · the schedule covers about 28 hours with eight attempts', () => {
    const waits: number[] = [];
    for (let made = 0; ; made += 1) {
      const result = judge({ status: 500, headers: {}, body: '' }, made, EVENT_SCHEDULE_MS, 0);
      if (result.state === 'dead') break;
      waits.push(result.waitMs ?? 0);
    }
    const hours = waits.reduce((sum, wait) => sum + wait, 0) / 3_600_000;
    expect(waits).toHaveLength(7);
    expect(hours).toBeGreaterThan(27.5);
    expect(hours).toBeLessThan(31);
  });

  it('F39 · 429 with Retry-After is asked later, not earlier than it says', async () => {
    product.answer = () => (product.received.length === 1 ? { status: 429, headers: { 'retry-after': '1' } } : {});
    dispatch();
    const id = await tell();
    await eventually(async () => (await stateOf(id)) === 'delivered');
    const [first, second] = product.received;
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990);
  });

  it('F39 · 410 disables the receiver until a person enables it; what waits becomes dead letters', async () => {
    product.answer = () => ({ status: 410 });
    dispatch();
    const id = await tell();
    await eventually(
      async () => (await record.eventsOut.endpoints()).find((one) => one.id === '*')?.disabledAtMs != null,
    );
    const later = await tell();
    await eventually(async () => (await stateOf(later)) === 'dead');
    expect(product.received).toHaveLength(1);
    product.answer = () => ({});
    expect(await record.eventsOut.enable('*')).toBe(true);
    expect(await record.eventsOut.replay({ ids: [id, later] })).toBe(2);
    await eventually(async () => (await stateOf(later)) === 'delivered' && (await stateOf(id)) === 'delivered');
  });

  it("F39 · a tenant's receiver that hangs holds nobody else up", async () => {
    const hanging = await startReceiver();
    hanging.answer = () => ({ waitMs: 60_000 });
    await record.tenants.create({ id: 'broken', eventsUrl: hanging.url });
    for (let index = 0; index < 60; index += 1) await tell('broken');
    dispatch();
    await eventually(() => hanging.received.length >= 10);
    const id = await tell();
    await eventually(async () => (await stateOf(id)) === 'delivered');
    // The first ten still hang, each for its 10 s; the others wait behind them.
    expect(hanging.received).toHaveLength(10);
    await hanging.close();
    await record.eventsOut.disable('broken', 'the test is over');
  });

  it('a process that dies during an attempt leaves the event to the next one', async () => {
    const id = await tell();
    const claim = async () =>
      (await record.eventsOut.claim({ perEndpoint: 10, leaseMs: 60_000, busy: new Map() })).map((taken) => taken.id);
    expect(await claim()).toEqual([id]);
    expect(await claim()).toEqual([]);
    const [lease] = await sql<{ left: number }>(
      databaseUrl,
      'select extract(epoch from due_at - now())::float as left from event_outbox where id = $1',
      [id],
    );
    expect(lease?.left).toBeGreaterThan(30);
    // As when the lease is over.
    await sql(databaseUrl, 'update event_outbox set due_at = now() where id = $1', [id]);
    dispatch();
    await eventually(async () => (await stateOf(id)) === 'delivered');
    expect(product.received).toHaveLength(1);
  });

  it('F48 · private addresses are never called unless the setting allows it', async () => {
    await tell();
    const id = await tell();
    dispatch({ fetch: createGuardedFetch({ timeoutMs: 400 }) });
    await eventually(async () => (await stateOf(id)) === 'dead');
    expect(product.received).toEqual([]);
    expect((await record.eventsOut.get(id))?.lastError).toMatch(/^url: /);
  });

  it('without a receiver nothing is written', async () => {
    await record.eventsOut.setDefault(null);
    expect(await tell('nobody')).toBe('');
  });
});
