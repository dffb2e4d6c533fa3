import {
  UnknownSenderError,
  type AcceptResult,
  type CancelResult,
  type Circuits,
  type Counters,
  type NewMessage,
  type Place,
  type SenderLimits,
  type SendQueue,
  type StatusEvidence,
  type TenantLimits,
  type UnrecordedMessage,
} from '../../../src/engine/contract.ts';
import type { LaneLook } from '../../../src/engine/lane-look.ts';
import type { Line, SenderLook } from '../../../src/engine/line.ts';
import { AppError } from '../../../src/errors/app-error.ts';
import type { EventEntry, EventLog, LifecycleEvent } from '../../../src/model/events.ts';
import type { MessageError } from '../../../src/model/message.ts';

type Ended = NonNullable<UnrecordedMessage['ended']>;

interface Held {
  readonly message: NewMessage;
  readonly seq: number;
  place: Place | null;
  ended: Ended | null;
}

const DAY_MS = 24 * 3_600_000;

/**
 * The contract of the engine in a few lines, for tests of the rooms above it: one shard, no pacing, nothing is sent
 * unless the test says so. What it accepted is unrecorded until its event log was read and confirmed.
 */
export class MemoryQueue implements SendQueue {
  readonly shards = 4;
  /** Every accepted message in order. */
  readonly accepted: NewMessage[] = [];
  readonly configured = new Map<string, SenderLimits>();
  readonly tenantLimits = new Map<string, TenantLimits>();
  readonly pausedSenders = new Map<string, string>();
  readonly pausedTenants = new Set<string>();
  readonly evidence: StatusEvidence[] = [];
  /** `pauseAll` was called last. */
  isStopped = false;
  /** Calls reject as they do while Redis is away. */
  isAway = false;
  /** A worker is idle: what is accepted is handed over at once. */
  hasIdleWorker = false;

  readonly #held = new Map<string, Held>();
  readonly #keys = new Map<string, { readonly id: string; readonly digest: string; readonly atMs: number }>();
  readonly #entries: EventEntry[] = [];
  readonly #waiters = new Set<() => void>();
  #entrySeq = 0;

  isReachable(): boolean {
    return !this.isAway;
  }
  lookAtLane(): Promise<LaneLook> {
    this.#reach();
    return Promise.resolve({ waiting: 0, pairFreeInMs: 0 });
  }
  line({ id }: { id: string }): Promise<Line | null> {
    this.#reach();
    const place = this.#held.get(id)?.place ?? null;
    if (place === null || place.status === 'failed') return Promise.resolve(null);
    const { status, hold, attempts, position } = place;
    const head = { status, hold: hold?.kind ?? null, waitMs: null };
    const pair = { before: 0, freeInMs: 0, aheadMs: 0 };
    const inConversation = {
      ...{ before: position, messages: position + 1, head, conversationsBefore: 0, conversations: 1, pair },
    };
    const waitMs = hold?.untilMs === null || hold === null ? null : Math.max(0, hold.untilMs - Date.now());
    return Promise.resolve({
      ...{ status, hold, attempts, waitMs },
      inConversation: status === 'scheduled' ? null : inConversation,
    });
  }
  lookAtSender(sender: string): Promise<SenderLook | null> {
    this.#reach();
    const limits = this.configured.get(sender);
    if (limits === undefined) return Promise.resolve(null);
    return Promise.resolve({
      ratePerSecond: limits.ratePerSecond,
      ratePerSecondMax: limits.ratePerSecond,
      burst: limits.burst,
      concurrency: limits.concurrency,
      inFlight: 0,
      pairGapMs: limits.pairGapMs,
      pairBucketCapacity: limits.pairBucketCapacity,
      pairMsPerToken: 0,
      pausedReason: this.pausedSenders.get(sender) ?? null,
      isShardPaused: this.isStopped,
      circuitMs: null,
      rateWaitMs: 0,
      rateAheadMs: 0,
      workers: 1,
      slots: 200,
      tenant: null,
      tenantsInAll: 0,
      others: [],
    });
  }
  limitedPairs(): Promise<number> {
    return Promise.resolve(0);
  }

  circuits(): Promise<Circuits> {
    return Promise.resolve({ open: [], opened: 0, closed: 0 });
  }

  async accept(message: NewMessage): Promise<AcceptResult> {
    this.#reach();
    const { lane, idempotency } = message;
    if (!this.configured.has(lane.sender)) throw new UnknownSenderError(lane.sender);
    const key = idempotency && JSON.stringify([lane.tenant, lane.sender, idempotency.key]);
    const known = key === undefined ? undefined : this.#keys.get(key);
    if (known !== undefined && Date.now() - known.atMs < DAY_MS) {
      return known.digest === idempotency?.bodyDigest.toString('hex')
        ? { kind: 'duplicate', id: known.id }
        : { kind: 'key-reused', id: known.id };
    }
    const waiting = [...this.#held.values()].filter(
      (held) =>
        held.place !== null && held.message.lane.tenant === lane.tenant && held.message.lane.sender === lane.sender,
    );
    if (waiting.length >= message.tenantLimits.backlogMax) return { kind: 'backlog-full' };
    if (key !== undefined) {
      this.#keys.set(key, { id: message.id, digest: idempotency?.bodyDigest.toString('hex') ?? '', atMs: Date.now() });
    }
    this.accepted.push(message);
    const seq = this.accepted.length;
    const immediate = this.hasIdleWorker && message.sendAtMs === undefined;
    const place: Place =
      message.sendAtMs === undefined
        ? { status: 'queued', hold: null, attempts: 0, position: 0 }
        : { status: 'scheduled', hold: { kind: 'scheduled', untilMs: message.sendAtMs }, attempts: 0, position: 0 };
    this.#held.set(message.id, { message, seq, place, ended: null });
    const { contact, priority, body } = message;
    this.#emit({
      type: 'accepted',
      messageId: message.id,
      atMs: Date.now(),
      lane,
      seq,
      contact,
      priority,
      sendAtMs: message.sendAtMs ?? null,
      expiresAtMs: message.expiresAtMs ?? null,
      body,
    });
    return await Promise.resolve({ kind: 'accepted', id: message.id, immediate });
  }

  /** The provider has it. */
  send(id: string, providerMessageId = `wamid.${id}`): void {
    this.#end(id, { status: 'sent', atMs: Date.now(), providerMessageId, error: null }, (atMs) => ({
      type: 'sent',
      messageId: id,
      atMs,
      providerMessageId,
      report: null,
    }));
  }
  fail(id: string, error: MessageError): void {
    this.#end(id, { status: 'failed', atMs: Date.now(), providerMessageId: null, error }, (atMs) => ({
      type: 'failed',
      messageId: id,
      atMs,
      error,
      report: null,
    }));
  }
  /** Puts a message where the test wants it. */
  hold(id: string, place: Partial<Place>): void {
    const held = this.#held.get(id);
    if (held?.place) held.place = { ...held.place, ...place };
  }
  /** Forgets what it was told, as an emptied Redis does. */
  forgetSenders(): void {
    this.configured.clear();
    this.pausedSenders.clear();
    this.pausedTenants.clear();
  }

  #end(id: string, ended: Ended, event: (atMs: number) => LifecycleEvent): void {
    const held = this.#held.get(id);
    if (held === undefined) throw new Error(`no message ${id}`);
    held.place = null;
    held.ended = ended;
    this.#emit(event(ended.atMs));
  }

  async configureSender(limits: SenderLimits): Promise<void> {
    this.#reach();
    this.configured.set(limits.sender, limits);
    await Promise.resolve();
  }
  async configureTenant(sender: string, tenant: string, limits: TenantLimits): Promise<void> {
    this.#sender(sender);
    this.tenantLimits.set(`${sender}|${tenant}`, limits);
    await Promise.resolve();
  }
  readonly heldBySender = new Map<string, Set<string>>();
  async holdTemplate(sender: string, template: string): Promise<void> {
    this.#sender(sender);
    this.heldBySender.set(sender, (this.heldBySender.get(sender) ?? new Set()).add(template));
    await Promise.resolve();
  }
  async releaseTemplate(sender: string, template: string): Promise<void> {
    this.#sender(sender);
    this.heldBySender.get(sender)?.delete(template);
    await Promise.resolve();
  }
  heldTemplates(sender: string): Promise<readonly string[]> {
    return Promise.resolve([...(this.heldBySender.get(sender) ?? [])]);
  }
  async pauseSender(sender: string, reason: string): Promise<void> {
    this.#sender(sender);
    this.pausedSenders.set(sender, reason);
    await Promise.resolve();
  }
  async pauseReason(sender: string): Promise<string | null> {
    return Promise.resolve(this.pausedSenders.get(sender) ?? null);
  }
  async resumeSender(sender: string): Promise<void> {
    this.#sender(sender);
    this.pausedSenders.delete(sender);
    await Promise.resolve();
  }
  async pauseTenant(sender: string, tenant: string): Promise<void> {
    this.#sender(sender);
    this.pausedTenants.add(`${sender}|${tenant}`);
    await Promise.resolve();
  }
  async resumeTenant(sender: string, tenant: string): Promise<void> {
    this.#sender(sender);
    this.pausedTenants.delete(`${sender}|${tenant}`);
    await Promise.resolve();
  }
  async pauseAll(): Promise<void> {
    this.#reach();
    this.isStopped = true;
    await Promise.resolve();
  }
  async resumeAll(): Promise<void> {
    this.#reach();
    this.isStopped = false;
    await Promise.resolve();
  }
  async isPaused(): Promise<boolean> {
    this.#reach();
    return Promise.resolve(this.isStopped);
  }

  async cancel({ id }: { id: string }): Promise<CancelResult> {
    this.#reach();
    const held = this.#held.get(id);
    if (held?.place == null || held.place.status === 'failed') return 'gone';
    if (held.place.status === 'sending') return 'in-flight';
    this.#end(id, { status: 'cancelled', atMs: Date.now(), providerMessageId: null, error: null }, (atMs) => ({
      type: 'cancelled',
      messageId: id,
      atMs,
    }));
    return await Promise.resolve('cancelled');
  }
  async place({ id, lane }: { id: string; lane: { sender: string } }): Promise<Place | null> {
    this.#sender(lane.sender);
    return await Promise.resolve(this.#held.get(id)?.place ?? null);
  }
  async unrecorded(id: string): Promise<UnrecordedMessage | null> {
    this.#reach();
    const held = this.#held.get(id);
    const isListed = this.#entries.some((entry) =>
      entry.events.some((event) => event.type === 'accepted' && event.messageId === id),
    );
    if (held === undefined || !isListed) return null;
    const { message, seq, place, ended } = held;
    const { lane, contact, priority, body } = message;
    const times = { sendAtMs: message.sendAtMs ?? null, expiresAtMs: message.expiresAtMs ?? null };
    return await Promise.resolve({ id, lane, seq, contact, priority, ...times, body, attempts: 0, place, ended });
  }
  async statuses(statuses: readonly StatusEvidence[]): Promise<void> {
    this.#reach();
    this.evidence.push(...statuses);
    for (const { messageId, providerMessageId, status, providerAtMs, error } of statuses) {
      this.#emit({ type: 'status', messageId, atMs: Date.now(), providerMessageId, status, providerAtMs, error });
    }
    await Promise.resolve();
  }
  async waitForOutcome(id: string, timeoutMs: number): ReturnType<SendQueue['waitForOutcome']> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const ended = this.#held.get(id)?.ended;
      if (ended != null) return ended.status;
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) return null;
      await this.#change(leftMs);
    }
  }
  async counters(): Promise<Counters> {
    this.#reach();
    const places = [...this.#held.values()];
    const count = (status: string) =>
      places.filter((held) => (held.ended?.status ?? held.place?.status) === status).length;
    return await Promise.resolve({
      accepted: places.length,
      queued: count('queued'),
      scheduled: count('scheduled'),
      deferred: count('deferred'),
      inFlight: count('sending'),
      unknown: count('unknown'),
      held: 0,
      sent: count('sent'),
      failed: count('failed'),
      cancelled: count('cancelled'),
      expired: count('expired'),
    });
  }

  /** What the recorder reads. */
  readonly log: EventLog = {
    shard: 0,
    read: async (after, count, blockMs) => {
      const isLater = (entry: EventEntry) => Number(entry.id.split('-')[1]) > Number(after.split('-')[1]);
      if (!this.#entries.some(isLater)) await this.#change(blockMs);
      return this.#entries.filter(isLater).slice(0, count);
    },
    recorded: async (entries) => {
      const done = new Set(entries.map((entry) => entry.id));
      const kept = this.#entries.filter((entry) => !done.has(entry.id));
      this.#entries.splice(0, this.#entries.length, ...kept);
      this.#wake();
      await Promise.resolve();
    },
    close: async () => {
      this.#wake();
      await Promise.resolve();
    },
  };

  /** Are all events recorded. */
  get isRecorded(): boolean {
    return this.#entries.length === 0;
  }

  #emit(event: LifecycleEvent): void {
    this.#entrySeq += 1;
    this.#entries.push({ id: `1700000000000-${this.#entrySeq}`, events: [event] });
    this.#wake();
  }
  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }
  async #change(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      this.#waiters.add(wake);
    });
  }
  #reach(): void {
    if (this.isAway) throw new AppError('QUEUE_UNAVAILABLE');
  }
  #sender(sender: string): void {
    this.#reach();
    if (!this.configured.has(sender)) throw new UnknownSenderError(sender);
  }
}
