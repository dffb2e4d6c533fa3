import type { RedisClient } from '../../src/engine/connection.ts';
import { decodeAccepts, encodeAccepts } from '../../src/engine/accept-code.ts';
import { sealBody } from '../../src/engine/body.ts';
import { decodeStreamEntry } from '../../src/engine/event-log.ts';
import { decodeMailbox } from '../../src/engine/grants.ts';
import { shardPrefix } from '../../src/engine/keys.ts';
import type { AcceptResult, NewMessage } from '../../src/engine/contract.ts';
import { packLane, unpackLane } from '../../src/engine/lane.ts';
import { type ScriptArg, ScriptRunner } from '../../src/engine/script-runner.ts';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { checkShard } from './invariants.ts';
import { CREDENTIAL_OPEN_MS, Reference } from './reference.ts';
import { dumpShard, type ShardDump } from './shard-dump.ts';
import type {
  Call,
  CandidateMessage,
  Revival,
  Script,
  SenderSetup,
  SettleArgs,
  TenantSetup,
  Timing,
} from './vocabulary.ts';

/** Epoch ms at which every run begins: an hour before midnight UTC, so that days change during a run. */
const START_MS = Date.UTC(2027, 0, 15, 23);
const PREFIX = shardPrefix(0);

/** What a worker was handed, kept for ever, so that any call can be repeated late. */
export interface Handed {
  readonly worker: string;
  readonly entry: string;
  readonly lane: string;
  readonly id: string;
}

/** A process: it hears replies, keeps one timer on its own monotonic clock, and, as a worker, has slots. */
export interface Process {
  readonly name: string;
  readonly capacity: number;
  alive: boolean;
  dueAtMonoMs: number;
  /** Every hand-over it was told of and has not settled. */
  held: Handed[];
  /** Numbers of its calls whose reply it never heard. */
  readonly lostCalls: Set<number>;
}

/**
 * The real engine under an injected clock, with the processes around it. After every call it tells the reference what
 * was asked and what happened, and recounts the shard.
 */
export class World {
  readonly reference: Reference;
  readonly client: RedisClient;
  /** Crashes, lost replies and clock steps happen in this run. */
  readonly isStorm: boolean;
  readonly web: Process = newProcess('web', 0);
  readonly workers: Process[] = [];
  readonly handed: Handed[] = [];
  readonly accepts: { message: CandidateMessage; limits: TenantSetup }[] = [];
  /** A timer's owner died or the wall clock was moved: the heartbeat's backstop may be needed. */
  needsBackstop = false;
  wasReconfigured = false;
  dump: ShardDump | null = null;
  seqs = new Map<string, number>();
  #runner: ScriptRunner;
  #offMs = 0;
  #monoMs = 0;
  #steppedMs = 0;
  #lastEvent = '0-0';
  #ids = 0;
  #calls = 0;

  constructor(client: RedisClient, timing: Timing, isStorm: boolean) {
    this.client = client;
    this.isStorm = isStorm;
    this.reference = new Reference(timing);
    this.#runner = new ScriptRunner(client, () => this.wallMs);
  }

  get wallMs(): number {
    return START_MS + this.#monoMs + this.#steppedMs;
  }
  get monoMs(): number {
    return this.#monoMs;
  }
  /** Time passes. */
  advance(ms: number): void {
    this.#monoMs += ms;
  }
  /** What the pacing clock will say at the next call; the reference has what it said at the last. */
  get pacingMs(): number {
    return Math.max(this.reference.nowMs, this.wallMs + this.#offMs);
  }
  /** Somebody sets the wall clock; no process's monotonic clock notices. */
  step(ms: number): void {
    this.#steppedMs += ms;
    this.needsBackstop = true;
  }

  newMessage(wish: Omit<CandidateMessage, 'id' | 'atMs' | 'lane'> & { conversation: string }): CandidateMessage {
    this.#ids += 1;
    const time = this.wallMs.toString(16).padStart(12, '0');
    const id = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${this.#ids.toString(16).padStart(12, '0')}`;
    const { conversation, ...rest } = wish;
    return { ...rest, id, atMs: this.wallMs, lane: packLane({ ...wish, conversation }) };
  }

  startWorker(name: string, capacity: number): Process {
    const worker = newProcess(name, capacity);
    this.workers.push(worker);
    return worker;
  }

  crash(worker: Process): void {
    worker.alive = false;
    worker.dueAtMonoMs = Number.POSITIVE_INFINITY;
    // What it held it still holds, should it only have been stopped for a while.
    this.needsBackstop = true;
  }

  // ---- local timers

  get processes(): Process[] {
    return [this.web, ...this.workers].filter(({ alive }) => alive);
  }
  nextDueMonoMs(): number {
    return Math.min(...this.processes.map(({ dueAtMonoMs }) => dueAtMonoMs));
  }
  /** Every process whose timer is due makes its call. */
  async fireDue(): Promise<void> {
    for (const one of this.processes) {
      if (one.dueAtMonoMs > this.#monoMs) continue;
      one.dueAtMonoMs = Number.POSITIVE_INFINITY;
      if (one === this.web) await this.tick();
      else await this.exchange(one, { byTimer: true });
    }
  }

  // ---- the scripts

  async pause(what: 'sender' | 'tenant' | 'shard', on: boolean, sender: string, tenant: string): Promise<void> {
    const { reference } = this;
    const verb = `${on ? 'pause' : 'resume'}-${what}`;
    if (what === 'shard') await this.control(verb, '', [], () => (reference.shardPaused = on));
    else if (what === 'tenant')
      await this.control(verb, sender, [tenant], () => (reference.tenant(`${sender}|${tenant}`).paused = on));
    else await this.control(verb, sender, on ? ['test'] : [], () => reference.pauseSender(sender, on));
  }

  async configureTenant(sender: string, tenant: string, setup: TenantSetup): Promise<void> {
    await this.control('configure-tenant', sender, [tenant, setup.cap, setup.weight], () => {
      Object.assign(this.reference.tenant(`${sender}|${tenant}`).setup, { cap: setup.cap, weight: setup.weight });
    });
  }

  async configure(sender: string, setup: SenderSetup): Promise<void> {
    const { rate, burst, cap, gapMs, pairCapacity, pairMsPerToken } = setup;
    this.wasReconfigured ||= this.reference.senders.has(sender);
    await this.#call(
      this.web,
      'control',
      ['configure-sender', sender, rate, burst, cap, gapMs, pairCapacity, pairMsPerToken],
      () => {
        this.reference.configureSender(sender, setup);
        return {};
      },
    );
  }

  async holdTemplate(sender: string, template: string, on: boolean): Promise<void> {
    await this.control(on ? 'hold-template' : 'release-template', sender, [template], () => {
      const held = this.reference.senders.get(sender)?.heldTemplates;
      if (on) held?.add(template);
      else held?.delete(template);
    });
  }

  async clearPair(sender: string, contact: string): Promise<void> {
    await this.control('clear-pair', sender, [contact], () => this.reference.clearPair(`${sender}|${contact}`));
  }

  /** Another sender failed with the same credential. */
  async openCircuit(sender: string): Promise<void> {
    await this.#call(this.web, 'control', ['open-circuit', sender, CREDENTIAL_OPEN_MS], () => ({ opens: sender }));
  }

  async control(verb: string, sender: string, values: readonly ScriptArg[], tell: () => void): Promise<void> {
    await this.#call(this.web, 'control', [verb, sender, ...values], () => {
      tell();
      return {};
    });
  }

  /** @param repeated the call of these messages was made before and its reply was lost */
  async accept(items: readonly { message: CandidateMessage; limits: TenantSetup }[], repeated = false): Promise<void> {
    await this.#call(this.web, 'accept', [repeated ? '1' : '0', ...encodeAccepts(items.map(newMessage))], (reply) => {
      const [, resultOf] = decodeAccepts(reply);
      const answers = items.map(({ message }, i) => codeOf(resultOf(message.id, i), message.id));
      items.forEach(({ message, limits }, i) => {
        const isKnown = repeated && this.reference.messages.has(message.id);
        const got = answers[i];
        const code = got?.code ?? 0;
        const expected = isKnown ? { code: 1, id: message.id } : this.reference.expectAccept(message, limits, code);
        if (code !== expected.code || got?.id !== expected.id) {
          throw new Error(
            `accept of ${message.id} answered ${JSON.stringify(got)}, expected ${JSON.stringify(expected)}`,
          );
        }
      });
      return {};
    });
    if (!repeated) this.accepts.push(...items);
  }

  async exchange(
    worker: Process,
    wish: {
      settles?: readonly SettleArgs[];
      begins?: readonly string[];
      byTimer?: boolean;
      take?: number;
      /** The worker never hears the answer. */
      isLost?: boolean;
    },
  ): Promise<void> {
    const { settles = [], begins = [], byTimer = false, take = 16, isLost = false } = wish;
    const slots = worker.capacity;
    const thisCall = (this.#calls += 1);
    if (isLost) worker.lostCalls.add(thisCall);
    const { startByMs, ambiguousWaitMs, afterWait, sendTimeoutMs } = this.reference.timing;
    const args: ScriptArg[] = [
      worker.name,
      slots,
      take,
      byTimer ? '1' : '0',
      startByMs,
      ambiguousWaitMs,
      afterWait,
      sendTimeoutMs,
      thisCall,
    ];
    args.push(
      begins.length,
      ...begins,
      settles.length,
      ...settles.flatMap((one) => encodeSettle(one, ambiguousWaitMs)),
    );
    await this.#call(
      worker,
      'exchange',
      args,
      (reply, events) => {
        const [, begun, settled, entry, out] = reply as [number, number[], number[], string, string[]];
        const expected = this.reference.expectSettle(settles);
        settles.forEach(({ id, kind }, i) => {
          const isResent =
            byTimer && expected[i] === 2 && events.some(({ type, messageId }) => type === 'retry' && messageId === id);
          if (settled[i] !== expected[i] && !isResent) {
            throw new Error(
              `settling ${id} as ${kind} answered ${settled[i] ?? 'nothing'}, expected ${expected[i] ?? 'nothing'}`,
            );
          }
        });
        const call = {
          takes: worker.name,
          settles,
          settled,
          begins: begins.map((lease, i) => ({ entry: lease, worker: worker.name, begun: begun[i] ?? -1 })),
        };
        if (isLost) return call;
        for (let i = 0; i < out.length; i += 3) {
          this.#hand(worker, { worker: worker.name, entry, lane: out[i] ?? '', id: idOf(out[i + 2] ?? '') });
        }
        worker.held = worker.held.filter(
          ({ id, entry: lease }) => !settles.some((one) => one.id === id && one.entry === lease),
        );
        worker.held = worker.held.filter(({ entry: lease }) => begun[begins.indexOf(lease)] !== 0);
        return call;
      },
      isLost,
    );
    if (isLost) this.needsBackstop = true;
  }

  /** Reads everything in the worker's mailbox. */
  async readMailbox(worker: Process): Promise<void> {
    for (;;) {
      const item = (await this.client.callBuffer('LPOP', `${PREFIX}m:${worker.name}`)) as Buffer | null;
      if (item === null) return;
      for (const grant of decodeMailbox(0, item)) {
        this.#hand(worker, {
          worker: worker.name,
          entry: grant.entry,
          lane: packLane(grant.lane),
          id: grant.messageId,
        });
      }
    }
  }

  async beat(worker: Process, slots = worker.capacity): Promise<number> {
    const entries = [...new Set(worker.held.map(({ entry }) => entry))];
    const args = [worker.name, this.reference.timing.startByMs, slots, ...entries];
    const reply = await this.#call(worker, 'beat', args, () => ({}));
    return Number(reply[0]);
  }

  async reclaim(by: Process, dead: string): Promise<void> {
    const { ambiguousWaitMs, afterWait, sendTimeoutMs } = this.reference.timing;
    const seen = this.dump?.beats.get(dead) ?? '';
    await this.#call(by, 'reclaim', [dead, seen, ambiguousWaitMs, afterWait, sendTimeoutMs], () => ({ reclaim: dead }));
  }

  /** A living worker gives back what was taken by its calls whose reply it never heard. */
  async returnUnheard(worker: Process): Promise<void> {
    const calls = this.dump?.takingCalls ?? new Map<string, number>();
    const entries = [...calls].filter(([, call]) => worker.lostCalls.has(call)).map(([entry]) => entry);
    await this.#giveUp(worker, 'unheard', entries);
  }

  /** A living worker finds an entry under its name that it knows nothing of. */
  async disown(worker: Process, entry: string): Promise<void> {
    worker.held = worker.held.filter((one) => one.entry !== entry);
    await this.#giveUp(worker, 'disowned', [entry]);
  }

  async #giveUp(worker: Process, as: 'unheard' | 'disowned', all: readonly string[]): Promise<void> {
    const entries = all.filter((entry) => this.dump?.leases.get(entry)?.worker === worker.name);
    if (entries.length === 0) return;
    const { ambiguousWaitMs, afterWait, sendTimeoutMs } = this.reference.timing;
    const args = [worker.name, '', ambiguousWaitMs, afterWait, sendTimeoutMs, as, ...entries];
    await this.#call(worker, 'reclaim', args, () => ({ givenUp: { as, entries: new Set(entries) } }));
  }

  async tick(): Promise<void> {
    const { ambiguousWaitMs, sendTimeoutMs } = this.reference.timing;
    await this.#call(this.web, 'tick', [ambiguousWaitMs, sendTimeoutMs], () => ({}));
  }

  async cancel(id: string): Promise<void> {
    const message = this.reference.messages.get(id);
    if (message === undefined) return;
    const { state, lane } = message;
    await this.#call(this.web, 'cancel', [id, lane, this.seqs.get(id) ?? 0], ([, result]) => {
      const isOpen = state === 'queued' || state === 'scheduled' || state === 'deferred';
      const expected = isOpen ? 1 : state === 'inFlight' || state === 'unknown' || state === 'held' ? 0 : -1;
      if (result !== expected) throw new Error(`cancelling ${id}, which is ${state}, answered ${String(result)}`);
      return { cancel: id };
    });
  }

  async evidence(ids: readonly string[]): Promise<void> {
    const entries = ids.map((id) => this.reference.messages.get(id)?.entry ?? '');
    const sent = JSON.stringify({ providerMessageId: 'p', report: null });
    const details = ids.flatMap((id, i) => [id, STATUS, `${id}|${sent}`, entries[i] ?? '']);
    await this.#call(this.web, 'evidence', details, (reply) => {
      const seen = new Set<string>();
      ids.forEach((id, i) => {
        const { state, isInDoubt } = this.reference.messages.get(id) ?? {};
        const expected = (state === 'unknown' || state === 'held' || isInDoubt === true) && !seen.has(id) ? 1 : 0;
        seen.add(id);
        if (reply[1 + i] !== expected)
          throw new Error(`a status of ${id}, which is ${state ?? 'unheard of'}, answered ${String(reply[1 + i])}`);
      });
      ids.forEach((id, i) => this.reference.proveInFlight(id, entries[i] ?? ''));
      return { evidence: ids };
    });
  }

  /** @param fresh the message, when this engine has not known it until now */
  async revive(revival: Revival, fresh: CandidateMessage | null = null): Promise<void> {
    const { verb, id, from, attempts, delayMs, limits } = revival;
    const message = this.reference.messages.get(id) ?? fresh;
    if (message === null) return;
    const { lane, priority, contact, expiresAtMs } = message;
    const isReturn = verb === 'redrive' || verb === 'log';
    const detail = { redrive: RETURN, resend: RETURN, close: CLOSE, log: '', hasten: '', settled: '' }[verb];
    const carried = [
      ...[
        from,
        attempts,
        verb === 'log' ? 1 : 0,
        delayMs,
        priority,
        contact,
        expiresAtMs ?? '',
        sealBody(id, bodyOf(message)),
      ],
      `${limits.cap}|${limits.weight}|${limits.backlogMax}`,
      JSON.stringify({ report: null, error: ERROR, slowRetries: 1, ...(delayMs < 0 ? {} : { delayMs }) }),
    ];
    const isTimed = this.dump?.timers.has(`l:${lane}`) === true && this.dump.lanes.get(lane)?.[0]?.id === id;
    const isBuried = this.dump?.tombstones.has(id) === true;
    const told = isReturn ? carried : verb === 'hasten' ? [attempts, 1000] : [];
    await this.#call(this.web, 'revive', [verb, id, lane, detail, ...told], ([, result]) => {
      const expected = this.reference.expectRevival(revival, fresh, { isTimed, isBuried }, Number(result));
      if (result !== expected) {
        const state = this.reference.messages.get(id)?.state ?? 'unheard of';
        throw new Error(`${verb} of ${id}, which is ${state}, answered ${String(result)}, expected ${expected}`);
      }
      return { revived: revival };
    });
  }

  // ---- what a person does to the stream (`/admin/streams`)

  async regroup(): Promise<void> {
    await this.#call(this.web, 'regroup', [], () => ({ regroups: true }));
  }

  /** Ends what waits in a lane, the newest `keep` messages aside. */
  async skipLane(lane: string, keep: number): Promise<void> {
    const stored = this.dump?.lanes.get(lane) ?? [];
    const wanted = stored.slice(0, Math.max(0, stored.length - keep));
    const highest = wanted.at(-1)?.seq;
    if (highest === undefined) return;
    const skips = new Set(wanted.map(({ id }) => id));
    await this.#call(this.web, 'skip', ['lane', lane, highest, 1000, '{"by":"ada"}'], () => ({ skips }));
    const left = [...skips].filter((id) => this.reference.messages.get(id)?.state === 'queued');
    if (left.length > 0) throw new Error(`skipped, and still waiting: ${left.join(', ')}`);
  }

  async skipParked(ids: readonly string[]): Promise<void> {
    await this.#call(this.web, 'skip', ['parked', '', '{"by":"ada"}', ...ids], () => ({ skips: new Set(ids) }));
    const left = ids.filter((id) => ['scheduled', 'deferred'].includes(this.reference.messages.get(id)?.state ?? ''));
    if (left.length > 0) throw new Error(`skipped, and still waiting: ${left.join(', ')}`);
  }

  async restartLanes(lanes: readonly string[]): Promise<void> {
    const heads = lanes.flatMap((lane) => this.reference.lanes.get(lane)?.slice(0, 1) ?? []);
    await this.#restart('lanes', lanes, new Set(heads));
  }

  async restartParked(ids: readonly string[]): Promise<void> {
    await this.#restart('parked', ids, new Set(ids));
  }

  async #restart(what: 'lanes' | 'parked', values: readonly string[], restarts: ReadonlySet<string>): Promise<void> {
    const timed = new Set(
      [...(this.dump?.timers.keys() ?? [])].flatMap((one) => (one.startsWith('l:') ? [one.slice(2)] : [])),
    );
    await this.#call(this.web, 'restart', [what, '', RETURN, ...values], () => {
      this.reference.restart(restarts, timed);
      return { restarts };
    });
  }

  // ---- one call, and everything that is checked after it

  async #call(
    by: Process,
    script: Script,
    args: readonly ScriptArg[],
    read: (reply: unknown[], events: readonly LifecycleEvent[]) => Omit<Call, 'script'>,
    isLost = false,
  ): Promise<unknown[]> {
    const reply = (await this.#runner.run(script, 0, args)) as unknown[];
    const after = await dumpShard(this.client, PREFIX);
    const events = await this.#newEvents();
    this.reference.wallMs = this.wallMs;
    this.#offMs = Number(after.scalars.get('off') ?? 0);
    this.reference.nowMs = this.wallMs + this.#offMs;
    const call: Call = { ...read(reply, events), script };
    this.reference.follow(call, events, this.dump, after);
    this.dump = after;
    for (const stored of [...after.lanes.values()].flat()) this.seqs.set(stored.id, stored.seq);
    checkShard(this.reference, after);
    // Whoever took over a dead worker's leases makes a timer's call next (WorkerLink).
    if (!isLost) this.arm(by, script === 'reclaim' ? 0 : Number(reply[0]));
    return reply;
  }

  /** As `DueTimer` does: only an earlier time moves the timer. */
  arm(by: Process, dueMs: number): void {
    if (dueMs >= 0 && by.alive) by.dueAtMonoMs = Math.min(by.dueAtMonoMs, this.#monoMs + dueMs);
  }

  #hand(worker: Process, handed: Handed): void {
    this.handed.push(handed);
    worker.held.push(handed);
  }

  async #newEvents(): Promise<LifecycleEvent[]> {
    const reply = (await this.client.callBuffer('XRANGE', `${PREFIX}ev`, `(${this.#lastEvent}`, '+')) as [
      Buffer,
      Buffer[],
    ][];
    const entries = reply.map(decodeStreamEntry);
    const damaged = entries.flatMap((entry) => entry.damaged ?? []);
    if (damaged.length > 0) throw new Error(`unreadable events: ${damaged.join('; ')}`);
    this.#lastEvent = entries.at(-1)?.id ?? this.#lastEvent;
    return entries.flatMap((entry) => [...entry.events]);
  }
}

const STATUS = JSON.stringify({ providerMessageId: 'p', status: 'delivered', providerAtMs: 0, error: null });
const ERROR = { code: 'X', providerCode: null, title: '', detail: '', retryable: false };

const RETURN = JSON.stringify({ cause: 'person', by: 'ada', delayMs: 0 });
const CLOSE = JSON.stringify({ report: null, error: ERROR, closedBy: 'ada' });

function newProcess(name: string, capacity: number): Process {
  return { name, capacity, alive: true, dueAtMonoMs: Number.POSITIVE_INFINITY, held: [], lostCalls: new Set() };
}

function idOf(element: string): string {
  return element.split('|', 4)[3] ?? '';
}

/** The engine reads the template from the body's first field. */
function bodyOf({ template }: CandidateMessage): string {
  return JSON.stringify(template == null ? {} : { template });
}

/** As the reference names what an accept answers. */
function codeOf(result: AcceptResult | null, id: string): { code: number; id: string } {
  switch (result?.kind) {
    case 'accepted':
      return { code: 1, id: result.id };
    case 'duplicate':
      return { code: 3, id: result.id };
    case 'key-reused':
      return { code: 4, id: result.id };
    case 'backlog-full':
      return { code: 5, id };
    case undefined:
      return { code: 6, id };
  }
}

function newMessage({ message, limits }: { message: CandidateMessage; limits: TenantSetup }): NewMessage {
  const { id, lane, priority, contact, sendAtMs, expiresAtMs, idempotency } = message;
  return {
    id,
    lane: unpackLane(lane),
    priority,
    contact,
    ...(sendAtMs === null ? {} : { sendAtMs }),
    ...(expiresAtMs === null ? {} : { expiresAtMs }),
    ...(idempotency === null
      ? {}
      : { idempotency: { key: idempotency.key, bodyDigest: Buffer.from(idempotency.digest.padEnd(8, '_')) } }),
    body: bodyOf(message),
    tenantLimits: { concurrency: limits.cap, weight: limits.weight, backlogMax: limits.backlogMax },
  };
}

function encodeSettle(one: SettleArgs, waitMs: number): ScriptArg[] {
  const details = {
    S: { providerMessageId: 'p' },
    F: { error: ERROR },
    R: { delayMs: one.number },
    D: { delayMs: one.number },
    U: { waitMs },
    B: {},
  } as const;
  const detail = JSON.stringify({ report: null, ...details[one.kind] });
  return [
    one.lane,
    one.id,
    one.entry,
    `${one.kind}${one.verdict ?? ''}|${one.number}|${one.flag ? '1' : '0'}|${one.brake}${one.brakeValue}`,
    `${one.id}|${detail}`,
  ];
}
