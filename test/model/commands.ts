import fc from 'fast-check';
import type { Process, World } from './world.ts';
import type { SenderSetup, SettleArgs, TenantSetup } from './vocabulary.ts';

/*
 * What may happen to a shard, as fast-check commands. Choices are numbers that are taken modulo what there is to choose
 * from, so that a command keeps a meaning while a failing run is made smaller.
 */

export interface Nothing {
  readonly nothing: true;
}
type Command = fc.AsyncCommand<Nothing, World>;
type Arb<T> = fc.Arbitrary<T>;

export const SENDERS = ['s1', 's2'] as const;
const DAY_MS = 86_400_000;
// Names go into keys, timers and lists: what separates there, patterns and several bytes a letter must harm nothing. A
// bar stands in no name but a conversation's.
const TENANTS = ['t1', 't:2%d', `ñ${'t'.repeat(62)}`] as const;
const CONVERSATIONS = ['c1', 'c|2|5', '+966 "ç"\n%3:'] as const;
const CONTACTS = ['k1', 'k:2', '+966.3-*'] as const;

export const senderSetup: Arb<SenderSetup> = fc.record({
  rate: fc.constantFrom(0, 1, 5, 20),
  burst: fc.constantFrom(1, 2, 5),
  cap: fc.constantFrom(1, 3, 20),
  // Long, because a pair's key lives on Redis's own clock, which the run outpaces.
  gapMs: fc.constantFrom(0, 0, 20_000),
  pairCapacity: fc.constantFrom(0, 0, 2),
  pairMsPerToken: fc.constantFrom(60_000, 5998.800239952009 * 10),
});
const tenantSetup: Arb<TenantSetup> = fc.record({
  cap: fc.constantFrom(1, 2, 5),
  weight: fc.constantFrom(1, 1, 3),
  backlogMax: fc.constantFrom(1000, 1000, 1000, 3),
});

function command<T>(
  name: string,
  wish: Arb<T>,
  run: (world: World, wish: T) => Promise<void>,
  inStorm = false,
): Arb<Command> {
  return wish.map((chosen) => ({
    // A calm run has no crash, lost reply or clock step: there every wake-up must be exact.
    check: () => true,
    run: async (_: Nothing, world: World) => {
      if (!inStorm || world.isStorm) await run(world, chosen);
    },
    toString: () => `${name}(${JSON.stringify(chosen)})`,
  }));
}

function pick<T>(items: readonly T[], at: number): T | undefined {
  return items.length === 0 ? undefined : items[at % items.length];
}
async function withWorker(world: World, at: number, run: (worker: Process) => Promise<void>): Promise<void> {
  const worker = pick(
    world.workers.filter(({ alive }) => alive),
    at,
  );
  if (worker !== undefined) await run(worker);
}

const index = fc.nat({ max: 40 });
const messageWish = fc.record({
  sender: fc.constantFrom(...SENDERS),
  tenant: fc.constantFrom(...TENANTS),
  conversation: fc.constantFrom(...CONVERSATIONS),
  contact: fc.constantFrom(...CONTACTS),
  priority: fc.constantFrom(1, 5, 5, 10),
  sendInMs: fc.constantFrom(null, null, null, null, 0, 3000, 120_000),
  expiresInMs: fc.constantFrom(null, null, null, null, 0, 1500, 3000, 90_000),
  idempotency: fc.option(fc.record({ key: fc.constantFrom('x', 'y'), digest: fc.constantFrom('one', 'two') }), {
    freq: 3,
  }),
  template: fc.constantFrom(null, null, null, 'a', 'b'),
  limits: tenantSetup,
});
type MessageWish = typeof messageWish extends Arb<infer T> ? T : never;

function toItem(world: World, wish: MessageWish) {
  const { sendInMs, expiresInMs, limits, ...rest } = wish;
  const at = (ms: number | null) => (ms === null ? null : world.wallMs + ms);
  return { message: world.newMessage({ ...rest, sendAtMs: at(sendInMs), expiresAtMs: at(expiresInMs) }), limits };
}

const outcome = fc.record({
  kind: fc.constantFrom('S', 'S', 'S', 'F', 'R', 'R', 'D', 'U', 'U', 'B'),
  number: fc.constantFrom(0, 1500, 40_000),
  flag: fc.boolean(),
  brake: fc.constantFrom('', '', '', '', 'P', 'P', 'N', 'S', 'T'),
  brakeMs: fc.constantFrom(0, 1000, 30_000),
  verdict: fc.constantFrom('', '', '', '', '-3000', '!3000', '!61000'),
});
type Outcome = typeof outcome extends Arb<infer T> ? T : never;

function settlement(world: World, handed: { lane: string; id: string; entry: string }, wish: Outcome): SettleArgs {
  const { lane, id, entry } = handed;
  const { kind, number, flag, brakeMs } = wish;
  const template = world.reference.messages.get(id)?.template ?? null;
  const brake = kind !== 'R' || (wish.brake === 'T' && template === null) ? '' : wish.brake;
  // A pair waits longer with every limit in a row.
  const values = {
    '': '',
    P: `${brakeMs},${4 * brakeMs},${9 * brakeMs}`,
    N: String(brakeMs),
    S: 'policy',
    T: template,
  };
  const brakeValue = values[brake] ?? '';
  const verdict = kind === 'S' || kind === 'B' ? '' : wish.verdict;
  return { lane, id, entry, kind, number, flag, brake, brakeValue, verdict };
}

/** Work as a worker does it: begins all that it holds, and settles some of what it began. */
const work = command(
  'work',
  fc.record({
    worker: index,
    begin: fc.boolean(),
    settles: fc.array(fc.record({ at: index, outcome }), { maxLength: 6 }),
    take: fc.constantFrom(0, 1, 16, 16),
    isTimer: fc.boolean(),
    isLost: fc.constantFrom(false, false, false, true),
  }),
  (world, wish) =>
    withWorker(world, wish.worker, async (worker) => {
      const begins = wish.begin ? [...new Set(worker.held.map(({ entry }) => entry))] : [];
      const settles = wish.settles.flatMap(({ at, outcome: result }) => {
        const handed = pick(worker.held, at);
        return handed === undefined ? [] : [settlement(world, handed, result)];
      });
      await world.exchange(worker, {
        begins,
        settles,
        byTimer: wish.isTimer,
        take: wish.take,
        isLost: wish.isLost && world.isStorm,
      });
    }),
);

const accept = command('accept', fc.array(messageWish, { minLength: 1, maxLength: 6 }), async (world, wishes) => {
  await world.accept(wishes.map((wish) => toItem(world, wish)));
});
const acceptDeep = command(
  'acceptDeep',
  fc.record({ message: messageWish, count: fc.integer({ min: 8, max: 20 }) }),
  async (world, wish) => {
    const { message, count } = wish;
    await world.accept(Array.from({ length: count }, () => toItem(world, { ...message, idempotency: null })));
  },
);
const repeatAccept = command(
  'repeatAccept',
  fc.record({ at: index, count: fc.integer({ min: 1, max: 4 }) }),
  async (world, { at, count }) => {
    const from = world.accepts.length === 0 ? 0 : at % world.accepts.length;
    const again = world.accepts.slice(from, from + count);
    if (again.length > 0) await world.accept(again, true);
  },
);

const readMailbox = command('readMailbox', index, (world, at) =>
  withWorker(world, at, (worker) => world.readMailbox(worker)),
);
const beat = command('beat', index, (world, at) =>
  withWorker(world, at, async (worker) => {
    await world.beat(worker);
  }),
);
const fire = command('fire', fc.constant(null), (world) => world.fireDue());
const tick = command('tick', fc.constant(null), (world) => world.tick());

const lateSettle = command('lateSettle', fc.record({ worker: index, at: index, outcome }), (world, wish) =>
  withWorker(world, wish.worker, async (worker) => {
    const handed = pick(world.handed, wish.at);
    if (handed !== undefined) await world.exchange(worker, { settles: [settlement(world, handed, wish.outcome)] });
  }),
);
const lateBegin = command('lateBegin', fc.record({ worker: index, at: index }), (world, wish) =>
  withWorker(world, wish.worker, async (worker) => {
    const handed = pick(world.handed, wish.at);
    if (handed !== undefined) await world.exchange(worker, { begins: [handed.entry] });
  }),
);

/** A worker dies, most often while it is sending; another takes its place, and sometimes takes over at once. */
const crash = command(
  'crash',
  fc.record({
    worker: index,
    capacity: fc.constantFrom(1, 4, 30),
    isSending: fc.constantFrom(true, true, false),
    isNoticed: fc.boolean(),
  }),
  (world, wish) =>
    withWorker(world, wish.worker, async (worker) => {
      await world.readMailbox(worker);
      if (wish.isSending) await world.exchange(worker, { begins: [...new Set(worker.held.map(({ entry }) => entry))] });
      world.crash(worker);
      const next = world.startWorker(`w${world.workers.length}`, wish.capacity);
      await world.beat(next);
      await world.exchange(next, {});
      if (wish.isNoticed) await world.reclaim(next, worker.name);
    }),
  true,
);
const revive = command(
  'revive',
  index,
  (world, at) => {
    const dead = pick(
      world.workers.filter(({ alive }) => !alive),
      at,
    );
    if (dead !== undefined) dead.alive = true;
    return Promise.resolve();
  },
  true,
);
const reclaim = command(
  'reclaim',
  fc.record({ worker: index, at: index }),
  (world, wish) =>
    withWorker(world, wish.worker, async (worker) => {
      const dead = pick(
        world.workers.filter(({ alive }) => !alive),
        wish.at,
      );
      if (dead !== undefined) await world.reclaim(worker, dead.name);
    }),
  true,
);

const returnUnheard = command(
  'returnUnheard',
  index,
  (world, at) => withWorker(world, at, (worker) => world.returnUnheard(worker)),
  true,
);
const disown = command(
  'disown',
  fc.record({ worker: index, at: index }),
  (world, wish) =>
    withWorker(world, wish.worker, async (worker) => {
      const handed = pick(worker.held, wish.at);
      if (handed !== undefined) await world.disown(worker, handed.entry);
    }),
  true,
);

const advance = command('advance', fc.constantFrom(1, 40, 101, 202, 999, 1000, 3000, 20_000, 61_000), (world, ms) => {
  world.advance(ms);
  return Promise.resolve();
});
const advanceToDue = command('advanceToDue', fc.constant(null), async (world) => {
  const due = world.nextDueMonoMs();
  if (due !== Number.POSITIVE_INFINITY) world.advance(Math.max(0, due - world.monoMs));
  await world.fireDue();
});
const advanceDay = command('advanceDay', fc.constantFrom(7_200_000, 80_000_000, 90_000_000), (world, ms) => {
  world.advance(ms);
  return Promise.resolve();
});
const step = command(
  'step',
  fc.constantFrom(-600_000, -600_000, 60_000, -50, 50, -7_200_000),
  (world, ms) => {
    world.step(ms);
    return Promise.resolve();
  },
  true,
);

const pause = command(
  'pause',
  fc.record({
    sender: fc.constantFrom(...SENDERS),
    tenant: fc.constantFrom(...TENANTS),
    what: fc.constantFrom('sender', 'tenant', 'shard'),
    on: fc.boolean(),
  }),
  (world, wish) => world.pause(wish.what, wish.on, wish.sender, wish.tenant),
);
const configure = command(
  'configure',
  fc.record({ sender: fc.constantFrom(...SENDERS), setup: senderSetup }),
  (world, { sender, setup }) => world.configure(sender, setup),
);
const configureTenant = command(
  'configureTenant',
  fc.record({ sender: fc.constantFrom(...SENDERS), tenant: fc.constantFrom(...TENANTS), setup: tenantSetup }),
  (world, wish) => world.configureTenant(wish.sender, wish.tenant, wish.setup),
);

const openCircuit = command('openCircuit', fc.constantFrom(...SENDERS), (world, sender) => world.openCircuit(sender));

const cancel = command('cancel', index, async (world, at) => {
  const id = pick([...world.reference.messages.keys()], at);
  if (id !== undefined) await world.cancel(id);
});
const cancelLane = command(
  'cancelLane',
  fc.record({ at: index, keep: fc.nat({ max: 2 }) }),
  async (world, { at, keep }) => {
    const lane = pick([...world.reference.lanes.values()], at) ?? [];
    for (const id of lane.slice(0, Math.max(0, lane.length - keep))) await world.cancel(id);
  },
);
const evidence = command('evidence', fc.array(index, { minLength: 1, maxLength: 3 }), async (world, wishes) => {
  const doubtful = [...world.reference.messages.values()].filter(
    ({ state, isInDoubt }) => isInDoubt || ['unknown', 'held', 'inFlight'].includes(state),
  );
  const ids = wishes.flatMap((at) => {
    const id = pick(at % 4 === 0 ? [...world.reference.messages.keys()] : doubtful.map((one) => one.id), at);
    return id === undefined ? [] : [id];
  });
  if (ids.length > 0) await world.evidence(ids);
});

/** A person, a report or the audit brings a message back; often twice, and sometimes from an old record. */
const redrive = command(
  'redrive',
  fc.record({
    at: index,
    delayMs: fc.constantFrom(0, 0, 1500, 61_000),
    isRepeated: fc.boolean(),
    limits: tenantSetup,
  }),
  async (world, { at, delayMs, isRepeated, limits }) => {
    const nowMs = world.pacingMs;
    const ended = [...world.reference.messages.values()].filter(({ lastEnd, state, returns }) => {
      const isRemembered = [...returns.keys()].some((day) => day >= Math.floor(nowMs / DAY_MS));
      return lastEnd !== null && (state === lastEnd.from || isRemembered);
    });
    const message = pick(ended, at);
    if (message?.lastEnd === undefined || message.lastEnd === null) return;
    const revival = { verb: 'redrive', id: message.id, ...message.lastEnd, delayMs, limits } as const;
    await world.revive(revival);
    if (isRepeated) await world.revive(revival);
  },
);
const returnOfTheUnknown = command(
  'returnOfTheUnknown',
  fc.record({
    message: messageWish,
    verb: fc.constantFrom('redrive', 'log'),
    attempts: fc.constantFrom(1, 3),
    delayMs: fc.constantFrom(-1, 0, 1500, 61_000),
    isRepeated: fc.boolean(),
  }),
  async (world, { message: wish, verb, attempts, delayMs, isRepeated }) => {
    const { message, limits } = toItem(world, { ...wish, sendInMs: null, idempotency: null });
    const from = verb === 'log' ? ('failed' as const) : ('lost' as const);
    const delay = verb === 'log' ? delayMs : Math.max(0, delayMs);
    const revival = { verb, id: message.id, from, attempts, delayMs: delay, limits } as const;
    await world.revive(revival, message);
    if (isRepeated) await world.revive(revival, message);
  },
);
const decide = command(
  'decide',
  fc.record({
    at: index,
    verb: fc.constantFrom('hasten', 'hasten', 'resend', 'close', 'settled'),
    any: fc.boolean(),
    // How far the caller's record is behind.
    behind: fc.constantFrom(0, 0, 1),
  }),
  async (world, { at, verb, any, behind }) => {
    const state = verb === 'resend' || verb === 'close' ? 'held' : 'deferred';
    const all = [...world.reference.messages.values()];
    const wanted = all.filter((message) => message.state === state);
    const message = pick(any && at % 4 === 0 ? all : wanted, at);
    if (message === undefined) return;
    const limits = { cap: 1, weight: 1, backlogMax: 1000 };
    const attempts = Math.max(0, message.attempts - behind);
    await world.revive({ verb, id: message.id, from: 'failed', attempts, delayMs: 0, limits });
  },
);

const clearPair = command(
  'clearPair',
  fc.record({ sender: fc.constantFrom(...SENDERS), contact: fc.constantFrom(...CONTACTS) }),
  (world, { sender, contact }) => world.clearPair(sender, contact),
);

const holdTemplate = command(
  'holdTemplate',
  fc.record({ sender: fc.constantFrom(...SENDERS), template: fc.constantFrom('a', 'b'), on: fc.boolean() }),
  (world, { sender, template, on }) => world.holdTemplate(sender, template, on),
);

/** What a person does to the stream: build it anew, end what waits, try at once what waits after an attempt. */
const streams = command(
  'streams',
  fc.record({
    at: index,
    what: fc.constantFrom('regroup', 'skip-lane', 'skip-parked', 'restart-lanes', 'restart-lanes', 'restart-parked'),
    count: fc.integer({ min: 1, max: 4 }),
    keep: fc.nat({ max: 2 }),
  }),
  async (world, { at, what, count, keep }) => {
    const lanes = [...world.reference.lanes.keys()];
    const all = [...world.reference.messages.values()];
    const parked = all.filter(({ inLane, state }) => !inLane && ['scheduled', 'deferred', 'held'].includes(state));
    const ids = parked
      .slice(at % Math.max(1, parked.length))
      .slice(0, count)
      .map(({ id }) => id);
    if (what === 'regroup') await world.regroup();
    else if (what === 'skip-lane') await world.skipLane(pick(lanes, at) ?? '', keep);
    else if (what === 'skip-parked') await world.skipParked(ids);
    else if (what === 'restart-parked') await world.restartParked(ids);
    else await world.restartLanes(lanes.slice(at % Math.max(1, lanes.length)).slice(0, count));
  },
);

/** By how often each comes. */
export const commands: Arb<Command>[] = [
  ...[accept, accept, accept, work, work, work, work, work, work, advanceToDue, advanceToDue, advance, advance],
  ...[
    readMailbox,
    readMailbox,
    fire,
    beat,
    tick,
    acceptDeep,
    repeatAccept,
    lateSettle,
    lateBegin,
    crash,
    reclaim,
    revive,
    returnUnheard,
    disown,
  ],
  ...[redrive, redrive, returnOfTheUnknown, decide, decide],
  ...[
    step,
    pause,
    pause,
    cancel,
    cancelLane,
    evidence,
    openCircuit,
    holdTemplate,
    holdTemplate,
    clearPair,
    streams,
    streams,
    configure,
    configureTenant,
    advanceDay,
  ],
];
