import type { BadHealth, Grant } from '../engine/contract.ts';
import { packLane } from '../engine/lane.ts';
import type { MessageEvent } from '../model/events.ts';
import type { MessageError } from '../model/message.ts';
import type { MessageProvider, ProviderOutcome, SenderAccount } from '../providers/contract.ts';
import type { TagKey } from '../providers/tag.ts';
import { attempt, type AttemptResult } from './attempt.ts';
import {
  acceptedEvent,
  type DirectMessage,
  type DirectResult,
  grantOf,
  noAttempt,
  noProvider,
  type Waiting,
} from './direct-message.ts';
import { DirectPace, type Paced } from './direct-pace.ts';
import type { RetryPolicy } from './policy.ts';
import { ProviderHealth, type ProviderHealthOptions } from './provider-health.ts';
import { type ReadWindow, Windows } from './windows.ts';

export interface DirectSenderOptions {
  /** Name of this process in attempts. */
  readonly worker: string;
  readonly provider: (account: SenderAccount) => MessageProvider | undefined;
  readonly policy: Omit<RetryPolicy, 'scheduleSeconds' | 'deferBlocks'>;
  readonly tagKey: TagKey;
  readonly breaker: ProviderHealthOptions;
  /** As of `SendWorker`. */
  readonly readWindow?: ReadWindow | undefined;
  /** Longest time from the caller's asking to the start of the last attempt, ms; a later turn is not waited for. */
  readonly patienceMs: number;
  /** Messages in the line at most; more are refused at once. Default 5,000. */
  readonly waitingMax?: number;
  /** Hears that the provider asked to stop a sender; nothing of it goes until `resume()`. Must not throw. */
  readonly onPaused?: (sender: string, reason: string) => void;
  /** As of `SendWorker`. */
  readonly onBroken?: (grant: Grant, error: unknown) => void;
  /** Hears what happened to a message, in order, when that is final. The caller is answered after it. Must not throw. */
  readonly onConcluded: (events: readonly MessageEvent[]) => Promise<void>;
}

const FIRST_BYTE_BY_MS = 250;
/** A pause ends when a person acts. */
const PAUSED_RETRY_MS = 60_000;

/**
 * Sends inside this process, for when the queue is switched off or away: in order per conversation, with the pair gap,
 * the pair bucket, the rate and the caps kept within the process. It keeps nothing: a call ends when its message was
 * sent, refused, given up or lost, so that nobody believes in a message that only a memory knows.
 */
export class DirectSender {
  readonly #options: DirectSenderOptions;
  readonly #pace = new DirectPace();
  readonly #health: ProviderHealth;
  readonly #windows: Windows | undefined;
  readonly #lanes = new Map<string, Waiting[]>();
  readonly #abort = new AbortController();
  /** Senders that must stop, and why. */
  readonly #paused = new Map<string, string>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #idle: (() => void) | undefined;
  #stopping = false;

  constructor(options: DirectSenderOptions) {
    this.#options = options;
    this.#health = new ProviderHealth(options.breaker);
    this.#windows = options.readWindow === undefined ? undefined : new Windows(options.readWindow);
  }

  /** Messages in the line, those in flight included. */
  get waiting(): number {
    return this.#count;
  }

  send(message: DirectMessage): Promise<DirectResult> {
    const now = performance.now();
    const wallAtMs = Date.now();
    if (this.#stopping || this.#count >= (this.#options.waitingMax ?? 5000)) {
      return Promise.resolve({ kind: 'not-sent', error: null, retryAfterMs: 1000 });
    }
    const pausedReason = this.#paused.get(message.lane.sender);
    if (pausedReason !== undefined) {
      return Promise.resolve({ kind: 'not-sent', error: null, retryAfterMs: PAUSED_RETRY_MS, pausedReason });
    }
    const paced: Paced = { ...message, sender: message.lane.sender, tenant: message.lane.tenant };
    if (message.pairFreeInMs !== undefined) this.#pace.holdPair(paced, now + message.pairFreeInMs);
    return new Promise((resolve) => {
      const lane = packLane(message.lane);
      const line = this.#lanes.get(lane) ?? [];
      line.push({
        message,
        paced,
        // What expires meanwhile must not go late, and nobody waits for it longer.
        deadlineMs: Math.min(
          (message.askedAtMs ?? now) + this.#options.patienceMs,
          now + (message.expiresAtMs ?? Infinity) - wallAtMs,
        ),
        wallMs: () => wallAtMs + performance.now() - now,
        resolve,
        events: [acceptedEvent(message)],
        attempt: 0,
        counted: 0,
        notBeforeMs: now,
        inFlight: false,
        lastError: null,
      });
      this.#lanes.set(lane, line);
      this.#count += 1;
      this.#pump();
    });
  }

  /** A sender that had to stop may go again. */
  resume(sender: string): void {
    this.#paused.delete(sender);
  }

  /** Starts nothing more, and waits for what is in flight; after `graceMs` that is broken off. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    for (const line of this.#lanes.values()) {
      for (const one of line.filter(({ inFlight }) => !inFlight)) this.#giveUp(one, 1000);
    }
    const timer = setTimeout(() => this.#abort.abort(), graceMs);
    while (this.#count > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    clearTimeout(timer);
  }

  /** Starts every head that may go and arms one timer for the next that will. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#stopping) return;
    const now = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const line of [...this.#lanes.values()]) {
      for (const one of line.filter(({ inFlight, deadlineMs }) => !inFlight && deadlineMs <= now)) {
        this.#giveUp(one, 1000);
      }
      const [head] = line;
      if (head === undefined || head.inFlight) continue;
      const ownMs = Math.max(0, Math.ceil(head.notBeforeMs - now));
      const paceMs = this.#pace.waitMs(head.paced, now);
      const waitMs = paceMs === null ? null : Math.max(ownMs, paceMs);
      if (waitMs !== null && now + waitMs > head.deadlineMs) {
        // Its turn comes after anybody waits for it: better told now than then.
        this.#giveUp(head, waitMs);
        nextMs = 0;
      } else if (waitMs === 0) {
        this.#pace.start(head.paced, now);
        void this.#attempt(head);
      } else {
        nextMs = Math.min(nextMs, waitMs ?? Number.POSITIVE_INFINITY, head.deadlineMs - now);
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.ceil(nextMs));
  }

  async #attempt(one: Waiting): Promise<void> {
    one.inFlight = true;
    const { account, lane } = one.message;
    const { worker, tagKey, policy } = this.#options;
    const provider = this.#options.provider(account);
    let result: AttemptResult;
    if (provider === undefined) {
      result = { settlement: { kind: 'failed', error: noProvider(account) }, report: null };
    } else {
      result = await attempt(grantOf(one), {
        worker,
        account,
        provider,
        tagKey,
        policy: { ...policy, scheduleSeconds: [], deferBlocks: false },
        startByAtMs: performance.now() + FIRST_BYTE_BY_MS,
        wallMs: one.wallMs,
        signal: this.#abort.signal,
        windows: this.#windows,
        judge: this.#judge,
        onBroken: this.#options.onBroken,
      });
    }
    const { settlement, badHealth } = result;
    const now = performance.now();
    const wasOpen = this.#pace.circuitUntilMs(lane.sender) !== null;
    if (badHealth !== undefined && (wasOpen || badHealth.opens)) {
      this.#pace.openCircuit(lane.sender, now + badHealth.openMs);
    } else if (badHealth === undefined && settlement.kind !== 'unstarted' && wasOpen) {
      this.#pace.closeCircuit(lane.sender);
    }
    const brake = settlement.kind === 'retry' ? settlement.brake : undefined;
    this.#pace.end(one.paced, now, settlement.kind === 'sent', brake);
    one.inFlight = false;
    this.#settle(one, result, now);
    if (brake?.on === 'sender') this.#pause(lane.sender, brake.reason);
    this.#pump();
  }

  readonly #judge = (account: SenderAccount, outcome: ProviderOutcome): BadHealth | undefined => {
    const { badHealth, alsoOpen } = this.#health.judge(account, outcome);
    for (const sender of alsoOpen) this.#pace.openCircuit(sender, performance.now() + this.#options.breaker.openMs);
    return badHealth;
  };

  /** What stands in the line of the sender is given back; what is in flight ends by itself. */
  #pause(sender: string, reason: string): void {
    const isNew = !this.#paused.has(sender);
    this.#paused.set(sender, reason);
    for (const line of [...this.#lanes.values()]) {
      for (const one of [...line]) {
        if (one.message.lane.sender === sender && !one.inFlight) this.#giveUp(one, PAUSED_RETRY_MS, reason);
      }
    }
    if (isNew) this.#options.onPaused?.(sender, reason);
  }

  #settle(one: Waiting, { settlement, report }: AttemptResult, now: number): void {
    const { sender } = one.message.lane;
    if (settlement.kind === 'unstarted') {
      const paused = this.#paused.get(sender);
      if (paused !== undefined) this.#giveUp(one, PAUSED_RETRY_MS, paused);
      else if (this.#stopping) this.#giveUp(one, 1000);
      return;
    }
    one.attempt += 1;
    one.lastError = report?.error ?? one.lastError;
    const base = { messageId: one.message.id, atMs: Date.now(), report };
    switch (settlement.kind) {
      case 'sent': {
        const { providerMessageId } = settlement;
        one.events.push({ ...base, type: 'sent', providerMessageId });
        this.#conclude(one, { kind: 'sent', providerMessageId, attempts: one.attempt });
        return;
      }
      case 'failed':
        this.#fail(one, settlement.error, report);
        return;
      case 'unknown':
        one.events.push({ ...base, type: 'unknown', waitMs: null });
        this.#conclude(one, { kind: 'unknown', error: report?.error ?? null });
        return;
      case 'deferred':
        // There is no slow schedule without a queue.
        this.#fail(one, one.lastError ?? noAttempt(), report);
        return;
      case 'retry': {
        const paused = settlement.brake?.on === 'sender' ? settlement.brake.reason : this.#paused.get(sender);
        if (paused !== undefined || this.#stopping) {
          this.#fail(one, one.lastError ?? noAttempt(), report, paused);
          return;
        }
        one.counted += settlement.counted ? 1 : 0;
        one.notBeforeMs = now + settlement.delayMs;
        one.events.push({ ...base, type: 'retry', delayMs: settlement.delayMs });
      }
    }
  }

  #fail(one: Waiting, error: MessageError, report: AttemptResult['report'], pausedReason?: string): void {
    one.events.push({ messageId: one.message.id, atMs: Date.now(), type: 'failed', error, report });
    if (pausedReason !== undefined) {
      this.#conclude(one, { kind: 'not-sent', error, retryAfterMs: PAUSED_RETRY_MS, pausedReason });
    } else {
      this.#conclude(
        one,
        error.retryable ? { kind: 'not-sent', error, retryAfterMs: 5000 } : { kind: 'refused', error },
      );
    }
  }

  /** Its turn did not come in time: nothing of it was sent by the last attempt, if there was one. */
  #giveUp(one: Waiting, retryAfterMs: number, pausedReason?: string): void {
    if (one.attempt > 0 && one.lastError !== null) {
      const { lastError: error } = one;
      one.events.push({ messageId: one.message.id, atMs: Date.now(), type: 'failed', error, report: null });
    } else {
      one.events.length = 0; // the caller hears that it was never taken
    }
    const paused = pausedReason === undefined ? {} : { pausedReason };
    this.#conclude(one, { kind: 'not-sent', error: one.lastError, retryAfterMs: Math.ceil(retryAfterMs), ...paused });
  }

  #conclude(one: Waiting, result: DirectResult): void {
    const lane = packLane(one.message.lane);
    const line = this.#lanes.get(lane) ?? [];
    line.splice(line.indexOf(one), 1);
    if (line.length === 0) this.#lanes.delete(lane);
    this.#count -= 1;
    if (one.events.length === 0) one.resolve(result);
    else void this.#options.onConcluded(one.events).then(() => one.resolve(result));
    if (this.#count === 0) this.#idle?.();
  }
}
