import type { CircuitEvent, LifecycleEvent } from '../../src/model/events.ts';
import type { ShardDump, StoredFlight } from './shard-dump.ts';
import type { Call, CandidateMessage, Revival, SenderSetup, SettleArgs, TenantSetup, Timing } from './vocabulary.ts';

/*
 * The reference: what the promises allow. The engine chooses (who goes first, when a timer fires), the reference
 * follows what it chose and refuses what no promise allows. It holds no timers, rings or waiting lists.
 *
 *   queued → inFlight → sent | failed | queued (retry, given back) | deferred | unknown
 *   unknown → sent (evidence) | queued (resend) | held      scheduled, deferred → queued
 *   queued, deferred after an attempt in doubt → sent (evidence)
 *   queued, scheduled, deferred → cancelled | expired       held → sent (evidence) | queued (resend) | failed (close)
 *   sent, failed, lost → deferred (redrive)                 deferred → sent (the record knows)
 */

export type State =
  'queued' | 'scheduled' | 'deferred' | 'inFlight' | 'unknown' | 'held' | 'sent' | 'failed' | 'cancelled' | 'expired';

export interface Message extends CandidateMessage {
  readonly key: string;
  state: State;
  /** Has its place in its lane; false while scheduled, deferred outside, held, ended. */
  inLane: boolean;
  /** Pacing clock: not granted, resent or rejoined earlier. */
  notBeforeMs: number;
  attempts: number;
  ambiguous: number;
  entry: string;
  /** The pair was taken by this attempt. */
  tookPair: boolean;
  /** Unknown because its worker died: caps and pair stay taken until then. */
  lostUntilMs: number | null;
  willBeHeld: boolean;
  /** A status proved an attempt before its end was known. */
  isProved: boolean;
  /** Waits to go again although an earlier attempt may have been taken: a status still ends it. */
  isInDoubt: boolean;
  /** Times a person had it sent again although nobody knew its outcome. */
  resends: number;
  /** What the record would say of its last end. */
  lastEnd: { readonly from: 'failed' | 'sent'; readonly attempts: number } | null;
  /** Day of the pacing clock → attempts with which it came back. */
  readonly returns: Map<number, number>;
}

/** A token bucket as its theoretical arrival time, and every token that was taken since it was configured. */
interface Bucket {
  arrivalMs: number;
  takenAtMs: number[];
}
export interface Sender {
  setup: SenderSetup;
  paused: boolean;
  brakedUntilMs: number;
  bucket: Bucket;
  /** Null = closed. On the pacing clock; `probe` is the lane of the one attempt that goes then. */
  circuit: { untilMs: number; probe: string | null } | null;
  /** Templates that the provider stopped. */
  readonly heldTemplates: Set<string>;
  /** A number limit came: its rate is no longer the configured one. */
  wasSlowed: boolean;
}
export interface Tenant {
  setup: TenantSetup;
  paused: boolean;
  /** Grants of the same sender that went to others while this tenant stood ready. */
  passedOver: number;
}
export interface Lease {
  readonly worker: string;
  readonly atMs: number;
  begun: boolean;
}

const DAY_MS = 86_400_000;
/** A token counts from when it was due, if its timer fired at most this late. */
const TIMER_LATE_MS = 5;
/** A limit of a pair that comes so long after the wait for the last one is the first of another row. */
const PAIR_LIMITS_KEPT_MS = 64_000;
/** How long a circuit stays open that another sender's credential opened. */
export const CREDENTIAL_OPEN_MS = 45_000;
/** Two others before it in the old ring, a visit of the new ring around each, three turns a visit; and some. */
const PASSED_OVER_MAX = 20;

export class Refused extends Error {
  override readonly name = 'Refused';
}
function must(claim: boolean, sentence: string): asserts claim {
  if (!claim) throw new Refused(sentence);
}

/** By what a return is known: what was logged is below every number of attempts. */
function numberOf({ verb, attempts }: Revival): number {
  return verb === 'log' ? -1 : attempts;
}

function isAsked(call: Call, { id }: Message, verb: Revival['verb']): boolean {
  return call.revived?.id === id && call.revived.verb === verb;
}

export class Reference {
  readonly timing: Timing;
  readonly messages = new Map<string, Message>();
  /** lane → ids, head first */
  readonly lanes = new Map<string, string[]>();
  readonly senders = new Map<string, Sender>();
  readonly tenants = new Map<string, Tenant>();
  readonly pairFreeAtMs = new Map<string, number>();
  readonly pairBuckets = new Map<string, Bucket>();
  /** How often in a row the provider has limited a pair, and until when its last wait lasts. */
  readonly pairLimits = new Map<string, { readonly limits: number; readonly nextMs: number }>();
  readonly leases = new Map<string, Lease>();
  readonly keys = new Map<string, { id: string; digest: string; atMs: number; nowMs: number }>();
  shardPaused = false;
  nowMs = 0;
  wallMs = 0;

  constructor(timing: Timing) {
    this.timing = timing;
  }

  // ---- what the driver tells before it looks at what the engine did

  configureSender(id: string, setup: SenderSetup): void {
    const known = this.senders.get(id);
    if (JSON.stringify(known?.setup) === JSON.stringify(setup)) return;
    const bucket = { arrivalMs: this.#arrivalAt(setup.rate, known), takenAtMs: [] };
    this.senders.set(id, {
      setup,
      paused: known?.paused ?? false,
      brakedUntilMs: 0,
      bucket,
      circuit: known?.circuit ?? null,
      heldTemplates: known?.heldTemplates ?? new Set(),
      wasSlowed: known?.wasSlowed ?? false,
    });
    for (const [pair, used] of this.pairBuckets) if (pair.startsWith(`${id}|`)) used.takenAtMs = [];
    // What was granted under other limits is not measured by the new ones.
    for (const message of this.messages.values()) if (message.sender === id) message.tookPair = false;
  }
  pauseSender(id: string, on: boolean): void {
    const sender = this.#sender(id);
    sender.paused = on;
    if (on) return;
    sender.brakedUntilMs = 0; // a person said so
    // Its probe goes now.
    if (sender.circuit !== null) sender.circuit.untilMs = Math.min(sender.circuit.untilMs, this.nowMs);
  }
  tenant(key: string): Tenant {
    let tenant = this.tenants.get(key);
    if (tenant === undefined)
      this.tenants.set(key, (tenant = { setup: { cap: 1, weight: 1, backlogMax: 0 }, paused: false, passedOver: 0 }));
    return tenant;
  }

  /** What accept must answer to this message. Where either is right (what has expired but was not yet looked at may count
   * as waiting or not), it is what was answered. */
  expectAccept(message: CandidateMessage, limits: TenantSetup, answered: number): { code: number; id: string } {
    const key = `${message.sender}|${message.tenant}`;
    if (message.idempotency !== null) {
      const first = this.keys.get(`${key}|${message.idempotency.key}`);
      // Where the two clocks differ about the 24 hours, either answer is right.
      const ages = first === undefined ? [] : [this.wallMs - first.atMs, this.nowMs - first.nowMs];
      const isFresh =
        ages.some((age) => age < DAY_MS) && (ages.every((age) => age < DAY_MS) || answered === 3 || answered === 4);
      if (first !== undefined && isFresh) {
        return { code: first.digest === message.idempotency.digest ? 3 : 4, id: first.id };
      }
    }
    const tenant = this.tenant(key);
    tenant.setup = { ...limits };
    if (this.#isFull(key, limits, answered === 5)) return { code: 5, id: message.id };
    const scheduled = message.sendAtMs !== null && message.sendAtMs > this.wallMs;
    this.#add(message, scheduled ? 'scheduled' : 'queued');
    if (!scheduled) this.#join(message.id);
    if (message.idempotency !== null) {
      this.keys.set(`${key}|${message.idempotency.key}`, {
        id: message.id,
        digest: message.idempotency.digest,
        atMs: message.atMs,
        nowMs: this.nowMs,
      });
    }
    return { code: 1, id: message.id };
  }

  #isFull(key: string, limits: TenantSetup, isAnsweredFull: boolean): boolean {
    const waiting = [...this.messages.values()].filter(
      (one) => one.key === key && (this.isLive(one) || one.state === 'held'),
    );
    const lasting = waiting.filter(({ expiresAtMs }) => expiresAtMs === null || expiresAtMs > this.wallMs);
    return lasting.length >= limits.backlogMax || (waiting.length >= limits.backlogMax && isAnsweredFull);
  }

  #add(message: CandidateMessage, state: State): Message {
    const added: Message = {
      ...message,
      key: `${message.sender}|${message.tenant}`,
      state,
      inLane: false,
      notBeforeMs: 0,
      attempts: 0,
      ambiguous: 0,
      entry: '',
      tookPair: false,
      lostUntilMs: null,
      willBeHeld: false,
      isProved: false,
      isInDoubt: false,
      resends: 0,
      lastEnd: null,
      returns: new Map(),
    };
    this.messages.set(message.id, added);
    return added;
  }

  /**
   * What the engine must answer to a revival, and what then is so.
   * @param fresh the message, when this engine has not known it until now
   * @param at where the message stands: its lane waits for its timer, or it is dead there
   */
  expectRevival(
    revival: Revival,
    fresh: CandidateMessage | null,
    at: { readonly isTimed: boolean; readonly isBuried: boolean },
    answered: number,
  ): number {
    const { verb, id, limits, delayMs } = revival;
    const known = this.messages.get(id);
    if (verb === 'redrive' || verb === 'log') {
      const candidate = known ?? fresh;
      must(candidate !== null, 'a revival of nothing');
      const code = at.isBuried ? 0 : this.#mayReturn(revival, known, candidate, answered);
      if (code !== 1) return code;
      const message = known ?? this.#add(candidate, 'deferred');
      Object.assign(this.tenant(message.key).setup, { cap: limits.cap, weight: limits.weight });
      message.returns.set(Math.floor(this.nowMs / DAY_MS), numberOf(revival));
      message.attempts = revival.attempts;
      message.notBeforeMs = this.#after(delayMs);
      return 1;
    }
    if (known === undefined) return 0;
    if (verb === 'resend' || verb === 'close') return known.state === 'held' ? 1 : 0;
    if (known.state !== 'deferred') return 0;
    if (verb === 'settled') {
      if (known.inLane) return 0;
      this.#end(known, 'sent');
      return 1;
    }
    if (known.inLane && !at.isTimed) return 0;
    // What was tried since the caller looked may wait for something that is nobody's to cut short.
    if (revival.attempts > 0 && known.attempts > revival.attempts) return 0;
    known.notBeforeMs = this.nowMs;
    return 1;
  }

  #mayReturn(revival: Revival, known: Message | undefined, candidate: CandidateMessage, answered: number): number {
    const isParked = known !== undefined && !known.inLane && ['scheduled', 'deferred', 'held'].includes(known.state);
    const today = Math.floor(this.nowMs / DAY_MS);
    const came = [today, today - 1].flatMap((day) => known?.returns.get(day) ?? []);
    if (isParked || came.some((number) => number >= numberOf(revival))) return 0;
    if (candidate.expiresAtMs !== null && candidate.expiresAtMs <= this.wallMs) return 3;
    return this.#isFull(`${candidate.sender}|${candidate.tenant}`, revival.limits, answered === 2) ? 2 : 1;
  }

  /** What the engine must answer to these settlements, when nothing but this call settles. */
  expectSettle(settles: readonly SettleArgs[]): number[] {
    const states = new Map<string, string>();
    const doubts = new Map<string, boolean>();
    return settles.map((settle) => {
      const { id, entry, kind } = settle;
      const message = this.messages.get(id);
      if (message === undefined) return 0;
      const state = states.get(id) ?? message.state;
      if (state === 'inFlight' && message.entry === entry) {
        const { ambiguousWaitMs, afterWait } = this.timing;
        const isHeld = message.ambiguous >= 1 || afterWait === 'hold';
        const isUnknown = kind === 'U' && !message.isProved && (ambiguousWaitMs > 0 || isHeld);
        states.set(id, isUnknown ? 'unknown' : 'settled');
        const isResent = kind === 'U' ? !isUnknown && !message.isProved : message.ambiguous > 0;
        doubts.set(id, isResent && this.#staysInLane(message, settle));
        return 1;
      }
      if (kind === 'S' && (state === 'unknown' || state === 'held' || (doubts.get(id) ?? message.isInDoubt))) {
        states.set(id, 'settled');
        doubts.set(id, false);
        return 2;
      }
      return 0;
    });
  }

  /** What may go at once may go whatever the clock says: set back, it stands up to 100 ms before where it was. */
  #after(delayMs: number): number {
    return delayMs > 0 ? this.nowMs + delayMs : 0;
  }

  #staysInLane({ expiresAtMs }: Message, settle: SettleArgs): boolean {
    if (expiresAtMs !== null && expiresAtMs <= this.wallMs) return false;
    const isOut = settle.kind === 'S' || settle.kind === 'F' || (settle.kind === 'D' && !settle.flag);
    return !isOut || (settle.kind !== 'S' && this.#isExcused(settle));
  }

  /** A person wants what waits after an attempt to go at once. @param timed lanes that wait for their timer */
  restart(ids: ReadonlySet<string>, timed: ReadonlySet<string>): void {
    for (const id of ids) {
      const message = this.messages.get(id);
      if (message === undefined || !['queued', 'deferred'].includes(message.state)) continue;
      const isHead = this.lanes.get(message.lane)?.[0] === id;
      if (message.inLane ? isHead && timed.has(message.lane) : message.state === 'deferred') {
        message.notBeforeMs = Math.min(message.notBeforeMs, this.nowMs);
      }
    }
  }

  /** A status of an attempt in flight is kept until the attempt's end. */
  proveInFlight(id: string, entry: string): void {
    const message = this.messages.get(id);
    if (message?.state === 'inFlight' && message.entry === entry) message.isProved = true;
  }

  // ---- what the engine did: first its events in their order, then what has no event, then the grants

  follow(call: Call, events: readonly LifecycleEvent[], before: ShardDump | null, after: ShardDump): void {
    for (const event of events) this.#event(call, event);
    this.#begins(call, after);
    this.#releaseOfTheDead(after);
    this.#givenBack(call, after);
    this.#grants(call, before, after);
  }

  #event(call: Call, event: LifecycleEvent): void {
    if (event.type === 'status') return;
    if (event.type === 'circuit') {
      this.#circuit(call, event);
      return;
    }
    const message = this.messages.get(event.messageId);
    must(message !== undefined, `event ${event.type} of a message that was never accepted`);
    const settle = call.settles?.find(
      (one, i) => one.id === message.id && one.entry === message.entry && call.settled?.[i] === 1,
    );
    const isOurs = message.state === 'inFlight' && settle !== undefined;
    if (isOurs) this.#judged(settle);
    const was = `${message.id} is ${message.state}`;
    switch (event.type) {
      case 'accepted':
        must(
          call.script === 'accept' || (call.revived?.verb === 'log' && call.revived.id === message.id),
          'accepted outside accept',
        );
        return;
      case 'redriven':
        this.#redriven(call, message);
        return;
      case 'queued':
        must(
          message.state === 'scheduled' ||
            (message.state === 'deferred' && !message.inLane) ||
            (message.state === 'held' && (isAsked(call, message, 'resend') || call.restarts?.has(message.id) === true)),
          `joined although ${was}`,
        );
        if (message.state === 'scheduled')
          must(this.wallMs >= (message.sendAtMs ?? 0), `${message.id} joined before its time`);
        else if (message.state === 'deferred')
          must(this.nowMs >= message.notBeforeMs, `${message.id} rejoined before its time`);
        message.state = 'queued';
        message.isInDoubt = false;
        message.notBeforeMs = 0;
        this.#join(message.id);
        return;
      case 'sent':
        // Given back, and a later word of the same call proves that an earlier attempt of it was taken.
        if (isOurs && settle.kind === 'B') this.#giveBack(call, message);
        if (isOurs && settle.kind !== 'B') {
          must(settle.kind === 'S', `sent, but told ${settle.kind}`);
          this.#freePair(message, settle);
        } else {
          const isOpen = message.state === 'unknown' || message.state === 'held' || message.isInDoubt;
          must(isOpen, `proved sent although ${was}`);
          const byStatus = call.evidence?.includes(message.id) ?? false;
          must(
            message.isProved ||
              byStatus ||
              (call.settles?.some(({ id, kind }) => id === message.id && kind === 'S') ?? false),
            'proved by nobody',
          );
          if (message.lostUntilMs !== null) this.#freePair(message, undefined);
        }
        this.#end(message, 'sent');
        return;
      case 'failed':
        if (isOurs) must(!this.#isExcused(settle), 'failed although its circuit is open');
        if (message.state === 'held' && isAsked(call, message, 'close')) {
          this.#end(message, 'failed');
          return;
        }
        if (message.state === 'deferred' && isAsked(call, message, 'log')) {
          must(call.revived?.delayMs === -1, 'failed although retries are left');
          this.#end(message, 'failed');
          return;
        }
        must(isOurs && settle.kind === 'F', `failed although ${was}`);
        this.#freePair(message, settle);
        this.#end(message, 'failed');
        return;
      case 'retry':
        if (isOurs) {
          const isExcused = this.#isExcused(settle);
          must(settle.kind === 'R' || isExcused, `retry, but told ${settle.kind}`);
          this.#freePair(message, settle);
          message.notBeforeMs = this.#after(isExcused ? 0 : settle.number);
          message.isProved = false;
        } else {
          const isWanted = call.restarts?.has(message.id) === true;
          must(message.state === 'unknown' && (isWanted || !message.willBeHeld), `resent although ${was}`);
          if (isWanted && message.willBeHeld) message.resends += 1;
          must(
            isWanted || this.nowMs >= message.notBeforeMs,
            `${message.id} was resent before the wait for evidence was over`,
          );
          if (message.lostUntilMs !== null) this.#freePair(message, undefined);
        }
        if (message.state === 'unknown') message.notBeforeMs = Math.min(message.notBeforeMs, this.nowMs);
        message.state = 'queued';
        message.isInDoubt = message.ambiguous > 0;
        message.lostUntilMs = null;
        return;
      case 'deferred':
        if (isAsked(call, message, 'log') && message.state === 'deferred') return;
        must(isOurs && settle.kind === 'D' && !this.#isExcused(settle), `deferred although ${was}`);
        message.isProved = false;
        this.#freePair(message, settle);
        message.state = 'deferred';
        message.notBeforeMs = this.nowMs + settle.number;
        if (settle.flag) message.isInDoubt = message.ambiguous > 0;
        else this.#leave(message);
        return;
      case 'unknown':
        this.#unknown(call, message, settle, event.waitMs);
        return;
      case 'cancelled':
        must(call.cancel === message.id || call.skips?.has(message.id) === true, 'cancelled without being asked');
        must(
          message.state === 'queued' || message.state === 'scheduled' || message.state === 'deferred',
          `cancelled although ${was}`,
        );
        this.#end(message, 'cancelled');
        return;
      case 'expired':
        // Given back and found expired in one step.
        if (message.state === 'inFlight') this.#giveBack(call, message);
        must(
          message.state === 'queued' || message.state === 'scheduled' || message.state === 'deferred',
          `expired although ${was}`,
        );
        must(
          message.expiresAtMs !== null && this.wallMs >= message.expiresAtMs,
          `${message.id} expired before its time`,
        );
        this.#end(message, 'expired');
        return;
    }
  }

  #unknown(call: Call, message: Message, settle: SettleArgs | undefined, waitMs: number | null): void {
    const { ambiguousWaitMs, sendTimeoutMs, afterWait } = this.timing;
    if (message.state === 'unknown') {
      must(
        message.willBeHeld && waitMs === null && this.nowMs >= message.notBeforeMs,
        `${message.id} was held for a person too early`,
      );
      if (message.lostUntilMs !== null) this.#freePair(message, undefined);
      message.lostUntilMs = null;
      message.state = 'held';
      this.#leave(message);
      return;
    }
    must(message.state === 'inFlight', `unknown although ${message.state}`);
    message.ambiguous += 1;
    must(message.ambiguous <= 2 + message.resends, `${message.id} was tried again after two unknown attempts`);
    message.willBeHeld = message.ambiguous >= 2 || afterWait === 'hold';
    if (settle !== undefined) {
      must(settle.kind === 'U', `unknown, but told ${settle.kind}`);
      this.#freePair(message, settle);
      const isResent = ambiguousWaitMs === 0 && !message.willBeHeld && !message.isProved;
      message.state = isResent ? 'queued' : 'unknown';
      message.isInDoubt = isResent;
      message.notBeforeMs = this.#after(ambiguousWaitMs);
      return;
    }
    const lease = this.leases.get(message.entry);
    const isDisowned = call.givenUp?.as === 'disowned' && call.givenUp.entries.has(message.entry);
    must(
      isDisowned || call.reclaim === lease?.worker,
      `${message.id} became unknown under a worker that was not reclaimed`,
    );
    must(lease?.begun === true, `${message.id} had not begun and became unknown`);
    this.#unprobe(message);
    message.state = 'unknown';
    message.lostUntilMs = this.nowMs + sendTimeoutMs;
    message.notBeforeMs = this.nowMs + Math.max(sendTimeoutMs, ambiguousWaitMs);
  }

  #redriven(call: Call, message: Message): void {
    if (message.state === 'held') {
      const isWanted = isAsked(call, message, 'resend') || call.restarts?.has(message.id) === true;
      must(isWanted, `${message.id} was resent without being asked`);
      message.resends += 1;
      message.isProved = false;
      return;
    }
    must(isAsked(call, message, 'redrive'), `${message.id} was redriven without being asked`);
    const isEnded = message.state === 'sent' || message.state === 'failed';
    must(isEnded || call.revived?.from === 'lost', `${message.id} came back although it is ${message.state}`);
    Object.assign(message, {
      state: 'deferred',
      ambiguous: 0,
      resends: 0,
      isProved: false,
      isInDoubt: false,
      willBeHeld: false,
    });
  }

  /** An opening needs a bad word about the sender, and a closing a probe that went well. */
  #circuit(call: Call, { messageId: id, state, reason, untilMs }: CircuitEvent): void {
    const sender = this.#sender(id);
    const probe = sender.circuit?.probe ?? null;
    const said = (call.settles ?? []).filter(({ lane }, i) => lane.startsWith(`${id}|`) && call.settled?.[i] === 1);
    const ofProbe = said.filter(({ lane, kind }) => lane === probe && kind !== 'B');
    if (state === 'closed') {
      must(reason === 'probe' && ofProbe.some(({ verdict = '' }) => verdict === ''), `the circuit of ${id} was closed`);
      sender.circuit = null;
      return;
    }
    const words = {
      probe: ofProbe.map(({ verdict = '' }) => verdict),
      failures: sender.circuit === null ? said.map(({ verdict = '' }) => verdict).filter((one) => one[0] === '!') : [],
      credential: sender.circuit === null && call.opens === id ? [`!${CREDENTIAL_OPEN_MS}`] : [],
    }[reason];
    const ms = words.map((verdict) => Number(verdict.slice(1))).find((one) => untilMs === this.wallMs + one);
    must(ms !== undefined && ms > 0, `the circuit of ${id} opened because of ${reason} until ${untilMs ?? ''}`);
    sender.circuit = { untilMs: this.nowMs + ms, probe: null };
  }

  /** After a bad word the circuit is open, when there was one to open it; a good one of the probe has closed it. */
  #judged({ lane, kind, verdict = '' }: SettleArgs): void {
    const { circuit } = this.#sender(lane.split('|')[0] ?? '');
    if (kind === 'B') return;
    must(circuit?.probe !== lane, `the probe in ${lane} ended and the circuit did not notice`);
    must(verdict[0] !== '!' || circuit !== null, `${lane} asked for an open circuit in vain`);
  }

  /** The outage is not the message's fault: no attempt is burnt, it waits at its head. */
  #isExcused({ lane, kind, verdict = '' }: SettleArgs): boolean {
    const { circuit } = this.#sender(lane.split('|')[0] ?? '');
    return verdict !== '' && circuit !== null && (kind === 'F' || kind === 'D' || kind === 'R');
  }

  /** The probe has told nothing: given back, or its worker died. */
  #unprobe(message: Message): void {
    const { circuit } = this.#sender(message.sender);
    if (circuit?.probe === message.lane) circuit.probe = null;
  }

  #begins(call: Call, after: ShardDump): void {
    for (const { entry, worker, begun } of call.begins ?? []) {
      const lease = this.leases.get(entry);
      const isLate = lease !== undefined && !lease.begun && this.nowMs - lease.atMs > this.timing.startByMs;
      const isGone = lease?.worker !== worker || !after.leases.has(entry);
      if (begun === 0) must(isLate || isGone, `begin of ${entry} was refused although it was in time`);
      else {
        must(
          lease?.worker === worker && !isLate,
          `begin of ${entry} was granted although it was ${isLate ? 'late' : 'not theirs'}`,
        );
        lease.begun = true;
      }
    }
  }

  /** The caps of a dead worker's attempt come back when it can no longer be sending: there is no event for it. */
  #releaseOfTheDead(after: ShardDump): void {
    for (const message of this.messages.values()) {
      if (message.state !== 'unknown' || message.lostUntilMs === null) continue;
      const state = after.flights.get(message.lane)?.state;
      if (state === 'K' || state === 'J') continue;
      must(
        this.nowMs >= message.lostUntilMs,
        `the caps of ${message.id} came back while its dead worker could still be sending`,
      );
      this.#freePair(message, undefined);
      message.lostUntilMs = null;
    }
  }

  #givenBack(call: Call, after: ShardDump): void {
    for (const message of this.messages.values()) {
      if (message.state !== 'inFlight') continue;
      const flight = after.flights.get(message.lane);
      if (flight?.state === 'G' && flight.id === message.id && flight.entry === message.entry) continue;
      this.#giveBack(call, message);
    }
  }

  #giveBack(call: Call, message: Message): void {
    const lease = this.leases.get(message.entry);
    must(lease !== undefined, `${message.id} has no lease`);
    const isTold = call.settles?.some(({ id, entry, kind }, i) => {
      return id === message.id && entry === message.entry && kind === 'B' && call.settled?.[i] === 1;
    });
    const isLate = this.nowMs - lease.atMs > this.timing.startByMs;
    const isGivenUp = call.givenUp?.entries.has(message.entry) === true;
    const isUnheard = isGivenUp && call.givenUp.as === 'unheard';
    const isAnyones = isLate || isGivenUp || call.regroups === true || call.reclaim === lease.worker;
    must(
      isTold === true || isUnheard || (!lease.begun && isAnyones),
      `${message.id} left its worker without a settlement although it ${lease.begun ? 'had begun' : 'was not late'}`,
    );
    message.state = 'queued';
    message.isInDoubt = message.ambiguous > 0;
    message.attempts -= 1;
    message.notBeforeMs = 0;
    this.#unprobe(message);
    this.#unbusy(message);
  }

  #grants(call: Call, before: ShardDump | null, after: ShardDump): void {
    const granted: string[] = [];
    for (const [entry, lanes] of [...after.handOvers].sort(([a], [b]) => compareEntries(a, b))) {
      if (this.leases.has(entry)) continue;
      const lease = after.leases.get(entry);
      must(lease !== undefined, `hand-over ${entry} has no lease`);
      const { worker, state } = lease;
      const isTaken = worker === call.takes;
      must(isTaken === (state === 'S'), `hand-over ${entry} is ${state}, ${isTaken ? '' : 'not '}taken by its worker`);
      must(isTaken === after.takingCalls.has(entry), `hand-over ${entry} tells the wrong call`);
      this.leases.set(entry, { worker, atMs: this.nowMs, begun: isTaken });
      for (const lane of lanes) {
        const flight = after.flights.get(lane);
        if (flight?.entry !== entry) continue;
        granted.push(this.#grant(lane, flight).key);
        this.#checkPriority(lane, after);
      }
    }
    this.#checkTurns(granted, before, after);
  }

  #grant(lane: string, flight: StoredFlight): Message {
    const id = this.lanes.get(lane)?.[0];
    const message = id === undefined ? undefined : this.messages.get(id);
    must(message !== undefined, `a grant in ${lane}, which is empty`);
    must(message.id === flight.id, `order: ${flight.id} was granted before ${message.id} in ${lane}`);
    const held = this.holdOf(message);
    must(held === null, `${message.id} was granted although held by ${held ?? ''}`);
    must(
      message.expiresAtMs === null || this.wallMs < message.expiresAtMs,
      `${message.id} was granted after it had expired`,
    );
    const sender = this.#sender(message.sender);
    const { rate, burst, pairCapacity, pairMsPerToken } = sender.setup;
    if (rate > 0)
      take(
        sender.bucket,
        this.nowMs,
        burst + (TIMER_LATE_MS * rate) / 1000,
        1000 / rate,
        `the rate of ${message.sender}`,
      );
    if (sender.circuit !== null) sender.circuit.probe = lane;
    message.tookPair = isPaced(sender.setup);
    if (pairCapacity > 0)
      take(this.#pairBucket(message), this.nowMs, pairCapacity, pairMsPerToken, `the pair ${pairOf(message)}`);
    message.state = 'inFlight';
    message.isInDoubt = false;
    message.entry = flight.entry;
    message.attempts += 1;
    must(
      flight.attempts === message.attempts,
      `${message.id} counts ${flight.attempts} attempts, not ${message.attempts}`,
    );
    return message;
  }

  /** Why the head of a lane must not go now, or null. Tokens are left out: `take()` counts them in windows. */
  holdOf(message: Message): string | null {
    const sender = this.#sender(message.sender);
    const tenant = this.tenant(message.key);
    const running = [...this.messages.values()].filter(isRunning).filter((one) => one.sender === message.sender);
    if (message.state !== 'queued' && message.state !== 'deferred') return message.state;
    if (this.nowMs < message.notBeforeMs) return 'retry';
    if (message.template != null && sender.heldTemplates.has(message.template)) return 'template';
    if (this.shardPaused || sender.paused || tenant.paused) return 'pause';
    if (this.nowMs < sender.brakedUntilMs) return 'number limit';
    if (sender.circuit !== null && sender.circuit.untilMs > this.nowMs) return 'circuit';
    if (sender.circuit !== null && sender.circuit.probe !== null) return 'probe';
    if (running.length >= sender.setup.cap) return 'sender cap';
    if (running.filter(({ key }) => key === message.key).length >= tenant.setup.cap) return 'tenant cap';
    const pair = pairOf(message);
    if (this.nowMs < (this.pairFreeAtMs.get(pair) ?? 0)) return 'pair gap';
    if (!isPaced(sender.setup)) return null;
    return running.some((one) => one.tookPair && pairOf(one) === pair) ? 'pair busy' : null;
  }

  /** Does its sender, or its pair, certainly have no token. For what is not measured exactly: maybe. */
  mayLackToken(message: Message): boolean {
    const { setup, bucket, wasSlowed } = this.#sender(message.sender);
    const isShort = (one: Bucket, capacity: number, msPerToken: number) =>
      one.arrivalMs - (capacity - 1) * msPerToken > this.nowMs - 1;
    if (setup.rate > 0 && (wasSlowed || isShort(bucket, setup.burst, 1000 / setup.rate))) return true;
    return setup.pairCapacity > 0 && isShort(this.#pairBucket(message), setup.pairCapacity, setup.pairMsPerToken);
  }

  /** Tokens taken in advance stay as many at another rate. */
  #arrivalAt(rate: number, known: Sender | undefined): number {
    const aheadMs = (known?.bucket.arrivalMs ?? 0) - this.nowMs;
    if (known === undefined || rate === 0 || aheadMs <= 0) return this.nowMs;
    return this.nowMs + (aheadMs * known.setup.rate) / rate;
  }

  // ---- small parts

  isLive(message: Message): boolean {
    return !['sent', 'failed', 'cancelled', 'expired', 'held'].includes(message.state);
  }
  #sender(id: string): Sender {
    const sender = this.senders.get(id);
    must(sender !== undefined, `sender ${id} was never configured`);
    return sender;
  }
  #join(id: string): void {
    const message = this.messages.get(id);
    if (message === undefined) return;
    message.inLane = true;
    this.lanes.set(message.lane, [...(this.lanes.get(message.lane) ?? []), id]);
  }
  #leave(message: Message): void {
    message.inLane = false;
    const rest = (this.lanes.get(message.lane) ?? []).filter((id) => id !== message.id);
    if (rest.length === 0) this.lanes.delete(message.lane);
    else this.lanes.set(message.lane, rest);
  }
  #end(message: Message, state: State): void {
    message.state = state;
    message.isInDoubt = false;
    message.lostUntilMs = null;
    if (state === 'sent' || state === 'failed') message.lastEnd = { from: state, attempts: message.attempts };
    this.#leave(message);
  }
  #freePair(message: Message, settle: SettleArgs | undefined): void {
    const sender = this.#sender(message.sender);
    const waitMs = Math.max(sender.setup.gapMs, this.#limitPair(message, sender.setup.gapMs, settle));
    // An answer that asks for nothing does not lift what another asked for, and is no wait of its own: the pacing clock
    // is written ten times a second, so a wall clock that steps back takes it up to 100 ms back, before this moment.
    if (waitMs > 0)
      this.pairFreeAtMs.set(
        pairOf(message),
        Math.max(this.nowMs + waitMs, this.pairFreeAtMs.get(pairOf(message)) ?? 0),
      );
    this.#unbusy(message);
    if (settle?.brake === 'S') sender.paused = true;
    if (settle?.brake === 'T') sender.heldTemplates.add(settle.brakeValue);
    if (settle?.brake === 'N') sender.wasSlowed = true;
    if (settle?.brake === 'N')
      sender.brakedUntilMs = Math.max(sender.brakedUntilMs, this.nowMs + Number(settle.brakeValue));
  }
  /** What the provider asks this pair to wait: more with every limit in a row; those that came together are one. */
  #limitPair(message: Message, gapMs: number, settle: SettleArgs | undefined): number {
    const known = this.pairLimits.get(pairOf(message)) ?? { limits: 0, nextMs: 0 };
    let limits = known.nextMs + PAIR_LIMITS_KEPT_MS > this.nowMs ? known.limits : 0;
    const waits = settle?.brake === 'P' ? settle.brakeValue.split(',').map(Number) : [];
    if (limits === 0 || known.nextMs <= this.nowMs) {
      if (waits.length > 0) limits = Math.min(3, limits + 1);
      if (settle?.kind === 'S') limits = 0;
    }
    const waitMs = waits[Math.min(limits, waits.length) - 1] ?? 0;
    const nextMs = Math.max(known.nextMs, this.nowMs + Math.max(gapMs, waitMs));
    this.pairLimits.set(pairOf(message), { limits, nextMs });
    return waitMs;
  }
  /** A person, or a webhook, knows that the pair's limits are over. */
  clearPair(pair: string): void {
    this.pairFreeAtMs.delete(pair);
    this.pairBuckets.delete(pair);
    this.pairLimits.delete(pair);
  }
  /** The pair is free for all: one that was granted before pairs had a limit does not know that it did not take it. */
  #unbusy(message: Message): void {
    for (const one of this.messages.values()) if (pairOf(one) === pairOf(message)) one.tookPair = false;
  }
  #pairBucket(message: Message): Bucket {
    const bucket = this.pairBuckets.get(pairOf(message)) ?? { arrivalMs: 0, takenAtMs: [] };
    this.pairBuckets.set(pairOf(message), bucket);
    return bucket;
  }

  /** A tenant's better priority goes first, as far as its lanes stand ready. */
  #checkPriority(lane: string, after: ShardDump): void {
    const [sender, tenant] = lane.split('|', 2);
    const granted = after.lanes.get(lane)?.[0]?.priority ?? 0;
    for (let better = 10; better > granted; better -= 1) {
      const waiting = after.ready.get(`${sender ?? ''}|${tenant ?? ''}|${better}`) ?? [];
      const real = waiting.filter((one) => after.lanes.get(one)?.[0]?.priority === better);
      must(real.length === 0, `${lane} (priority ${granted}) went before ${real[0] ?? ''} (priority ${better})`);
    }
  }

  /** A tenant that stands ready with room is served within a bounded number of turns of others. */
  #checkTurns(granted: readonly string[], before: ShardDump | null, after: ShardDump): void {
    for (const [key, tenant] of this.tenants) {
      const stood = (before?.tenants.get(key)?.ring ?? 0) > 0 && (after.tenants.get(key)?.ring ?? 0) > 0;
      if (!stood || granted.includes(key)) tenant.passedOver = 0;
      else tenant.passedOver += granted.filter((other) => other.split('|')[0] === key.split('|')[0]).length;
      must(
        tenant.passedOver <= PASSED_OVER_MAX,
        `${key} stood ready while others were served ${tenant.passedOver} times`,
      );
    }
  }
}

export function isRunning(message: Message): boolean {
  return message.state === 'inFlight' || (message.state === 'unknown' && message.lostUntilMs !== null);
}
export function pairOf(message: CandidateMessage): string {
  return `${message.sender}|${message.contact}`;
}
export function isPaced(setup: SenderSetup): boolean {
  return setup.gapMs > 0 || setup.pairCapacity > 0;
}
/** Takes a token: in no window may be more than its length allows, and the burst. */
function take(bucket: Bucket, nowMs: number, capacity: number, msPerToken: number, what: string): void {
  bucket.takenAtMs.push(nowMs);
  bucket.takenAtMs.forEach((fromMs, i) => {
    const taken = bucket.takenAtMs.length - i;
    // The engine keeps thousandths of a millisecond.
    const allowed = (nowMs - fromMs + 0.1) / msPerToken + capacity;
    must(taken <= allowed, `${what} gave ${taken} in ${nowMs - fromMs} ms, allowed are ${allowed}`);
  });
  bucket.arrivalMs = Math.max(bucket.arrivalMs, nowMs) + msPerToken;
}
export function compareEntries(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs - bMs || aSeq - bSeq;
}
