import { type Message, pairOf } from './reference.ts';
import type { Process, World } from './world.ts';

/*
 * Liveness: after the storm everything is resumed, the dead are reclaimed, providers answer, and time moves only to what
 * the replies announced. Then every message must come to its end, and at every moment nothing may wait that could go.
 */

const STEPS_MAX = 4000;
const BEAT_MS = 500;

export async function heal(world: World, senders: readonly string[]): Promise<void> {
  for (const sender of senders) {
    await world.pause('sender', false, sender, '');
    for (const template of [...(world.reference.senders.get(sender)?.heldTemplates ?? [])]) {
      await world.holdTemplate(sender, template, false);
    }
  }
  for (const key of world.reference.tenants.keys()) {
    const [sender = '', tenant = ''] = key.split('|');
    await world.pause('tenant', false, sender, tenant);
  }
  await world.pause('shard', false, '', '');
  if (!world.workers.some(({ alive }) => alive)) await join(world);
  for (const dead of world.workers.filter(({ alive }) => !alive)) {
    while (isSeen(world, dead)) await world.reclaim(alive(world), dead.name);
  }
  for (const worker of world.workers.filter((one) => one.alive)) await world.returnUnheard(worker);
  // What a beat heals, it heals within its period. A calm run gets none: nothing may depend on it there.
  for (let n = 0; world.needsBackstop && n < 3; n += 1) {
    world.advance(BEAT_MS);
    for (const worker of world.workers.filter((one) => one.alive)) await world.beat(worker);
  }
  for (let n = 0; n < STEPS_MAX; n += 1) {
    if (await work(world)) continue;
    const waiting = [...world.reference.messages.values()].filter((message) => world.reference.isLive(message));
    if (waiting.length === 0) return;
    if (!world.needsBackstop) checkNoWaste(world, waiting);
    await passTime(world, waiting);
  }
  throw new Error(`not at rest after ${STEPS_MAX} steps`);
}

async function join(world: World): Promise<void> {
  const worker = world.startWorker(`w${world.workers.length}`, 30);
  await world.beat(worker);
  await world.exchange(worker, {});
}

/** A heartbeat shows a worker, or, without one, what is pending under its name. */
function isSeen(world: World, worker: Process): boolean {
  return world.dump?.beats.has(worker.name) === true || [...(world.dump?.pending.values() ?? [])].includes(worker.name);
}

function alive(world: World): Process {
  const worker = world.workers.find((one) => one.alive);
  if (worker === undefined) throw new Error('no worker is alive');
  return worker;
}

/** One round of everything that can be done at this moment; false when there was nothing to do. */
async function work(world: World): Promise<boolean> {
  let isBusy = false;
  for (const worker of world.workers.filter((one) => one.alive)) {
    await world.readMailbox(worker);
    if (worker.held.length === 0) continue;
    isBusy = true;
    await world.exchange(worker, { begins: [...new Set(worker.held.map(({ entry }) => entry))] });
    const settles = worker.held.slice(0, 16).map(({ lane, id, entry }) => {
      return { lane, id, entry, kind: 'S', number: 0, flag: false, brake: '', brakeValue: '' } as const;
    });
    await world.exchange(worker, { settles });
  }
  if (world.nextDueMonoMs() <= world.monoMs) {
    isBusy = true;
    await world.fireDue();
  }
  return isBusy;
}

/** Promise 4: a message whose conversation, pair, tenant and sender all have room is not waiting. */
function checkNoWaste(world: World, waiting: readonly Message[]): void {
  const heads = waiting.filter((message) => world.reference.lanes.get(message.lane)?.[0] === message.id);
  for (const message of heads) {
    const isExpired = message.expiresAtMs !== null && message.expiresAtMs <= world.wallMs;
    // Pairs that wait already feel changed pair limits at their next opening.
    const isWaitingOnOldLimits =
      world.wasReconfigured && (world.dump?.pairWaits.get(pairOf(message))?.includes(message.lane) ?? false);
    if (isExpired || isWaitingOnOldLimits || world.reference.mayLackToken(message)) continue;
    const held = world.reference.holdOf(message);
    if (held === null)
      throw new Error(`waste: nothing holds ${message.id} (${message.state} in ${message.lane}), and it does not go`);
  }
}

/** Time moves to the next local timer, and not beyond. */
async function passTime(world: World, waiting: readonly Message[]): Promise<void> {
  const due = world.nextDueMonoMs();
  if (due !== Number.POSITIVE_INFINITY) {
    world.advance(due - world.monoMs);
    return;
  }
  const now = world.reference.nowMs;
  const timers = [
    ...[...(world.dump?.timers.values() ?? [])].map((at) => at - now),
    ...[...(world.dump?.wallTimers.values() ?? [])].map((at) => at - world.wallMs),
  ];
  const next = Math.min(...timers);
  if (!world.needsBackstop || next === Number.POSITIVE_INFINITY) {
    const names = waiting.map(({ id, state, lane }) => `${id} ${state} in ${lane}`).join('; ');
    throw new Error(`lost wake-up: no process knows when to go on, and these wait: ${names}`);
  }
  // The timer's owner is gone: the next beat after it is overdue finds it.
  world.advance(Math.max(0, next) + 51);
  await world.beat(alive(world));
}
