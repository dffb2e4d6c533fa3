import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import { testRedis } from '../support/services.ts';
import { heal } from './heal.ts';
import type { SenderSetup, SettleArgs } from './vocabulary.ts';
import { World } from './world.ts';

/*
 * What the model test found, each as the few calls that showed it. The assertions are the driver's: it recounts the
 * shard and asks the reference after every call; `heal` proves that nothing is lost and nothing waits in vain.
 */

const FREE: SenderSetup = { rate: 0, burst: 1, cap: 100, gapMs: 0, pairCapacity: 0, pairMsPerToken: 60_000 };
const LIMITS = { cap: 5, weight: 1, backlogMax: 1000 };

let client: RedisClient;
beforeAll(async () => {
  const redis = await testRedis({ fsync: 'none', settings: { save: '' } });
  client = commandClient({ url: redis.url, db: 0 }, 20_000);
  await whenReady(client, 5000);
});
afterAll(() => disconnect(client));

async function open(setup: Partial<SenderSetup> = {}, isStorm = false): Promise<World> {
  await client.call('FLUSHDB', 'SYNC');
  const timing = { startByMs: 100, sendTimeoutMs: 10_000, ambiguousWaitMs: 30_000, afterWait: 'resend' } as const;
  const world = new World(client, timing, isStorm);
  await world.configure('s1', { ...FREE, ...setup });
  return world;
}

interface Wish {
  tenant?: string;
  conversation?: string;
  contact?: string;
  priority?: number;
  sendInMs?: number;
  expiresInMs?: number;
  key?: string;
  template?: string;
  cap?: number;
}
async function accept(world: World, ...wishes: Wish[]): Promise<string[]> {
  const items = wishes.map((wish) => {
    const at = (ms: number | undefined) => (ms === undefined ? null : world.wallMs + ms);
    const { tenant = 't1', conversation = 'c1', contact = 'k1', priority = 5, key, template } = wish;
    const idempotency = key === undefined ? null : { key, digest: 'one' };
    const times = { sendAtMs: at(wish.sendInMs), expiresAtMs: at(wish.expiresInMs) };
    const message = world.newMessage({
      sender: 's1',
      tenant,
      conversation,
      contact,
      priority,
      ...times,
      idempotency,
      ...(template && { template }),
    });
    return { message, limits: { ...LIMITS, cap: wish.cap ?? LIMITS.cap } };
  });
  await world.accept(items);
  return items.map(({ message }) => message.id);
}
async function start(world: World, capacity = 30) {
  const worker = world.startWorker(`w${world.workers.length}`, capacity);
  await world.beat(worker);
  await world.exchange(worker, {});
  return worker;
}
const settle = (handed: { lane: string; id: string; entry: string }, rest: Partial<SettleArgs>): SettleArgs => {
  return {
    kind: 'S',
    number: 0,
    flag: false,
    brake: '',
    brakeValue: '',
    ...rest,
    lane: handed.lane,
    id: handed.id,
    entry: handed.entry,
  };
};
const stateOf = (world: World, id: string | undefined) => world.reference.messages.get(id ?? '')?.state;

describe('Found by the model', () => {
  it.each([8, 15, 16, 17, 32])('a conversation of %i dead heads is nowhere once they are dropped', async (count) => {
    const world = await open();
    const worker = await start(world);
    await accept(world, {}, ...Array.from({ length: count }, () => ({ expiresInMs: 1000 })));
    await world.readMailbox(worker);
    world.advance(1000);
    await world.exchange(worker, { settles: worker.held.map((handed) => settle(handed, {})) });
    await world.pause('sender', true, 's1', '');
    await accept(world, {});
    await world.tick();
    await heal(world, ['s1']);
  });

  it('many cancelled heads do not put their tenant into its rings twice', async () => {
    const world = await open();
    const ids = await accept(
      world,
      ...Array.from({ length: 30 }, () => ({})),
      { conversation: 'c2' },
      { conversation: 'c3' },
    );
    for (const id of ids.slice(0, 28)) await world.cancel(id);
    await start(world, 1);
    await heal(world, ['s1']);
  });

  it('a conversation whose urgent head was cancelled stands in the line of its next message', async () => {
    const world = await open();
    const [head] = await accept(world, { priority: 10 }, { priority: 1 }, { conversation: 'c2', priority: 5 });
    await world.cancel(head ?? '');
    await start(world, 1);
    await heal(world, ['s1']);
  });

  it('one that had expired when it was accepted is counted once', async () => {
    const world = await open();
    await accept(world, { expiresInMs: 0 }, { expiresInMs: 0 }, {});
    await world.tick();
    await start(world);
    await heal(world, ['s1']);
  });

  it('sendAt and expiresAt that fall into one call end the message once', async () => {
    const world = await open();
    const [id] = await accept(world, { sendInMs: 1000, expiresInMs: 2000 });
    world.advance(5000);
    await world.tick();
    await world.tick();
    expect(stateOf(world, id)).toBe('expired');
  });

  it('an accept that raises the cap of its tenant lets its waiting conversations go', async () => {
    const world = await open();
    await start(world);
    await accept(world, { conversation: 'c1', cap: 1 }, { conversation: 'c2', cap: 1 });
    await accept(world, { conversation: 'c2', cap: 5 });
    expect([...world.reference.messages.values()].map(({ state }) => state)).toEqual([
      'inFlight',
      'inFlight',
      'queued',
    ]);
    expect([...world.reference.messages.values()].map(({ state }) => state)).toEqual([
      'inFlight',
      'inFlight',
      'queued',
    ]);
    await heal(world, ['s1']);
  });

  it('a cancelled head of another pair does not hold what follows it', async () => {
    const world = await open({ gapMs: 20_000 });
    await start(world);
    const [, head] = await accept(
      world,
      { conversation: 'c1', contact: 'k1' },
      { conversation: 'c2', contact: 'k1' },
      { conversation: 'c2', contact: 'k2' },
    );
    await world.cancel(head ?? '');
    await heal(world, ['s1']);
  });

  it('pair limits that are switched off let go who waits for a busy pair', async () => {
    const world = await open({ gapMs: 20_000 });
    await start(world);
    await accept(world, { conversation: 'c1' }, { conversation: 'c2' }, { conversation: 'c3' });
    await world.configure('s1', FREE);
    await heal(world, ['s1']);
  });

  it('a pair limit of the provider holds on a sender without pair limits, and a later answer does not lift it', async () => {
    const world = await open();
    const worker = await start(world);
    await accept(world, { conversation: 'c1' }, { conversation: 'c2' });
    await world.readMailbox(worker);
    const [first, second] = worker.held;
    if (first === undefined || second === undefined) throw new Error('both should be in flight');
    await world.exchange(worker, { settles: [settle(first, { kind: 'R', brake: 'P', brakeValue: '30000' })] });
    await world.exchange(worker, { settles: [settle(second, {})] });
    expect(stateOf(world, first.id)).toBe('queued');
    await heal(world, ['s1']);
  });

  it('a pair that the provider limits again and again waits longer each time; a number limit between is no step', async () => {
    const world = await open();
    const worker = await start(world);
    await accept(world, {}, {});
    const answer = async (rest: Partial<SettleArgs>) => {
      await world.readMailbox(worker);
      const [handed] = worker.held;
      if (handed === undefined) throw new Error('nothing was handed over');
      await world.exchange(worker, { settles: [settle(handed, rest)], take: 0 });
      const waitMs = Math.max(0, world.nextDueMonoMs() - world.monoMs);
      world.advance(waitMs);
      await world.fireDue();
      await world.exchange(worker, {});
      return waitMs;
    };
    const limited = { kind: 'R', brake: 'P', brakeValue: '4000,16000,64000' } as const;
    expect(await answer(limited)).toBe(4000);
    expect(await answer({ kind: 'R', brake: 'N', brakeValue: '1000' })).toBe(1000);
    expect(await answer({ kind: 'R', number: 500, verdict: '' })).toBe(500);
    expect(await answer(limited)).toBe(16_000);
    expect(await answer(limited)).toBe(64_000);
    expect(await answer(limited)).toBe(64_000);
    await answer({});
    // Something was sent to it: the next limit is the first again.
    expect(await answer(limited)).toBe(4000);
    // So is one after a long silence.
    world.advance(64_000);
    await world.pause('shard', true, '', '');
    await world.pause('shard', false, '', '');
    expect(await answer(limited)).toBe(4000);
    await heal(world, ['s1']);
  });

  it('pair limits of attempts that ran together are one', async () => {
    const world = await open();
    const worker = await start(world);
    await accept(world, ...['c1', 'c2', 'c3'].map((conversation) => ({ conversation })));
    await world.readMailbox(worker);
    const limited = { kind: 'R', brake: 'P', brakeValue: '4000,16000,64000' } as const;
    const [first, second, third] = worker.held;
    if (first === undefined || second === undefined || third === undefined) throw new Error('all should be in flight');
    await world.exchange(worker, { settles: [settle(first, limited), settle(second, {}), settle(third, limited)] });
    expect(world.nextDueMonoMs() - world.monoMs).toBe(4000);
    await heal(world, ['s1']);
  });

  it("a paused tenant's conversations do not hide another tenant's behind their pair", async () => {
    const world = await open({ gapMs: 20_000 });
    const worker = await start(world);
    await accept(world, { conversation: 'c0' });
    await accept(world, ...Array.from({ length: 12 }, (_, n) => ({ conversation: `c${n + 1}` })), { tenant: 't2' });
    await world.pause('tenant', true, 's1', 't1');
    const other = [...world.reference.messages.values()].find(({ tenant }) => tenant === 't2')?.id;
    for (let n = 0; n < 10 && stateOf(world, other) !== 'inFlight'; n += 1) {
      await world.readMailbox(worker);
      await world.exchange(worker, { settles: worker.held.map((handed) => settle(handed, {})) });
      world.advance(
        world.nextDueMonoMs() === Number.POSITIVE_INFINITY ? 0 : Math.max(0, world.nextDueMonoMs() - world.monoMs),
      );
      await world.fireDue();
    }
    expect(stateOf(world, other)).toBe('inFlight');
  });

  it('who stops because of a budget says so: 80 conversations of one pair do not hide the one behind them', async () => {
    const world = await open({ gapMs: 20_000 });
    await accept(world, ...Array.from({ length: 80 }, (_, n) => ({ conversation: `c${n}`, cap: 100 })));
    const [other] = await accept(world, { conversation: 'other', contact: 'k2', cap: 100 });
    const worker = await start(world);
    expect(worker.dueAtMonoMs).toBe(world.monoMs);
    await world.fireDue();
    expect(stateOf(world, other)).toBe('inFlight');
    await heal(world, ['s1']);
  });

  it('a sender that is slowed down gains no tokens by it', async () => {
    const world = await open({ rate: 1, burst: 5 });
    const worker = await start(world);
    await accept(world, ...Array.from({ length: 20 }, (_, n) => ({ conversation: `c${n}`, cap: 100 })));
    await world.readMailbox(worker);
    const [first] = worker.held;
    if (first === undefined) throw new Error('nothing was handed over');
    await world.exchange(worker, { settles: [settle(first, { kind: 'R', brake: 'N', brakeValue: '0' })] });
    world.advance(1000);
    await world.fireDue();
    await heal(world, ['s1']);
  });

  it('a message that expired in flight does not hold its conversation until its retry', async () => {
    const world = await open();
    const worker = await start(world);
    const [head, next] = await accept(world, { expiresInMs: 1000 }, {});
    await world.readMailbox(worker);
    world.advance(2000);
    await world.fireDue();
    await world.exchange(worker, {
      settles: worker.held.map((handed) => settle(handed, { kind: 'R', number: 60_000 })),
    });
    expect(stateOf(world, head)).toBe('expired');
    expect(stateOf(world, next)).toBe('inFlight');
  });

  it('a message in doubt that is given back and proved sent by one call ends once', async () => {
    const world = await open();
    const worker = await start(world);
    const [one, next] = await accept(world, {}, {});
    await world.readMailbox(worker);
    await world.exchange(worker, { settles: worker.held.map((handed) => settle(handed, { kind: 'U' })) });
    world.advance(30_000);
    await world.fireDue();
    await world.readMailbox(worker);
    const [again] = worker.held;
    if (again === undefined) throw new Error('it did not go again');
    await world.pause('shard', true, '', '');
    await world.exchange(worker, { settles: [settle(again, { kind: 'B' }), settle(again, {})] });
    expect(stateOf(world, one)).toBe('sent');
    expect(stateOf(world, next)).toBe('queued');
    await heal(world, ['s1']);
  });

  it('an idempotency key holds over midnight when the wall clock steps back', async () => {
    const world = await open({}, true);
    world.advance(3_700_000); // past midnight
    await accept(world, { key: 'k' });
    world.step(-600_000); // before it again
    await accept(world, { key: 'k' });
    expect(world.reference.messages.size).toBe(1);
  });

  it('a number limit during an open circuit, after new limits of the sender, does not take the circuit’s timer away', async () => {
    const world = await open();
    const worker = await start(world);
    const [first, second] = await accept(world, { conversation: 'c1' }, { conversation: 'c2', contact: 'k2' });
    await world.readMailbox(worker);
    const handed = (id: string | undefined) =>
      worker.held.find((one) => one.id === id) ?? expect.fail('not handed over');
    await world.exchange(worker, { begins: [...new Set(worker.held.map(({ entry }) => entry))] });
    await world.exchange(worker, { settles: [settle(handed(first), { kind: 'R', verdict: '!60000' })] });
    await world.configure('s1', { ...FREE, cap: 50 });
    await world.exchange(worker, { settles: [settle(handed(second), { kind: 'R', brake: 'N', brakeValue: '1000' })] });
    world.advance(1000);
    await world.fireDue();
    await heal(world, ['s1']);
    expect([stateOf(world, first), stateOf(world, second)]).toEqual(['sent', 'sent']);
  });

  it('a repeated accept does not take the ends of two neighbours for a message that was refused', async () => {
    const world = await open();
    // Side by side, the ends of the ids …01 and …02 also read as …10, which is the next message.
    await accept(world, ...Array.from({ length: 15 }, () => ({})));
    const refused = world.newMessage({
      sender: 's1',
      tenant: 't1',
      conversation: 'c1',
      contact: 'k1',
      priority: 5,
      sendAtMs: null,
      expiresAtMs: null,
      idempotency: null,
    });
    expect(refused.id).toMatch(/00000010$/u);
    await world.accept([{ message: refused, limits: { ...LIMITS, backlogMax: 3 } }], true);
    expect(stateOf(world, refused.id)).toBeUndefined();
  });
});

describe('The key of a pair', () => {
  it('ends when its conversation, which stood ready, waits for its template instead', async () => {
    const world = await open();
    const worker = await start(world);
    await accept(world, { template: 'a' });
    await world.configure('s1', { ...FREE, rate: 5, pairCapacity: 2 });
    world.advance(3000);
    // Takes the token, so that what the beat gives back has to stand ready.
    await accept(world, { conversation: 'c2', contact: 'k2' });
    await world.beat(worker);
    await world.holdTemplate('s1', 'a', true);
    world.advance(1000);
    await world.exchange(worker, { byTimer: true });
    await world.holdTemplate('s1', 'a', false);
    await heal(world, ['s1']);
  });
});

describe('The clock, set back right after a timer has fired', () => {
  it('does not put an open circuit before its end, from where nothing would probe it', async () => {
    const world = await open();
    await start(world);
    await world.openCircuit('s1');
    // The clock is written ten times a second at most: here, and not when the timer fires.
    world.advance(world.nextDueMonoMs() - world.monoMs - 50);
    await world.tick();
    world.advance(50);
    await world.fireDue();
    world.step(-600_000);
    await accept(world, {});
    await heal(world, ['s1']);
  });
});

describe('On a clock of the test', () => {
  it.each([
    [3, 100],
    [5, 100],
    [40, 385],
  ])('S4 · 9 messages at 80 per second whose timers fire %i ms late take %i ms', async (lateMs, tookMs) => {
    const world = await open({ rate: 80, burst: 1 });
    await accept(world, ...Array.from({ length: 9 }, (_, n) => ({ conversation: `c${n}`, contact: `k${n}`, cap: 10 })));
    const fromMs = world.monoMs;
    await start(world);
    for (let n = 0; n < 20 && world.nextDueMonoMs() !== Number.POSITIVE_INFINITY; n += 1) {
      world.advance(Math.max(0, world.nextDueMonoMs() - world.monoMs) + lateMs);
      await world.fireDue();
    }
    const states = [...world.reference.messages.values()].map(({ state }) => state);
    expect(states.every((state) => state === 'inFlight')).toBe(true);
    expect(Math.abs(world.monoMs - fromMs - tookMs)).toBeLessThanOrEqual(lateMs + 5);
  });
});
