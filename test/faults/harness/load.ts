import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../../../src/errors/app-error.ts';
import { UnknownSenderError, type NewMessage } from '../../../src/engine/contract.ts';
import type { RedisSendQueue } from '../../../src/engine/queue.ts';
import type { MessageBody } from '../../../src/model/message.ts';
import { newId } from '../../../src/util/ids.ts';
import { steadyNowMs } from './clock.ts';
import type { LoadShape } from './protocol.ts';
import { seededRandom, seedOf, type Random } from '../../support/random.ts';

/** One message that a client wants sent; its name is its text, so the ledger can tell it by that alone. */
export interface Op {
  /** `<conversation>#<n>`, n from 1 in the order in which the conversation's messages were accepted. */
  readonly op: string;
  readonly conversation: string;
  readonly n: number;
  readonly tenant: string;
  readonly sender: string;
  readonly contact: string;
  readonly priority: number;
}

export interface OpRecord extends Op {
  /** `trying`: no answer yet, `unknown`: none that tells; either may or may not have been stored. */
  state: 'trying' | 'ok' | 'unknown' | 'refused';
  id: string | undefined;
  acceptedAtMs: number | undefined;
  /** When the client first asked, on the steady clock. */
  startedAtMs?: number;
  /** Answers with its key that named an id. */
  readonly ids: Set<string>;
}

export type AcceptAnswer =
  | { readonly kind: 'ok'; readonly id: string }
  /** Not now, or nobody knows: the client repeats it with the same key. */
  | { readonly kind: 'again' }
  /** Nobody knows, and without a key a repeat would be another message: the client leaves it. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'refused' };
export type Accept = (op: Op) => Promise<AcceptAnswer>;

const AGAIN_AFTER_MS = 40;
const TICK_MS = 10;

/**
 * Clients of a product backend: each conversation says its next message when the last one was accepted, and repeats
 * with the same key whatever was not answered. So the order of acceptance is known for certain.
 */
export class Load {
  readonly ops: OpRecord[] = [];
  readonly #shape: LoadShape;
  readonly #accept: Accept;
  readonly #random: Random;
  readonly #counts: number[];
  readonly #free: number[];
  #launched = 0;
  #open = 0;
  #running = false;
  #loop: Promise<void> = Promise.resolve();
  #onIdle: (() => void) | undefined;
  /** Failures that no client of ours should see. */
  readonly #strange: unknown[] = [];
  /** Called for every operation before its first try, and after it was accepted. */
  onOp: ((op: OpRecord) => void) | undefined;
  /** Longest single try, ms. */
  tryMsMax = 0;
  /** Tries that had to be repeated. */
  repeats = 0;

  constructor(shape: LoadShape, accept: Accept, seed: number) {
    this.#shape = shape;
    this.#accept = accept;
    this.#random = seededRandom(seedOf(seed, shape.name));
    this.#counts = Array.from({ length: shape.conversations }, () => 0);
    this.#free = this.#counts.map((_, index) => index);
  }

  /** The contacts of some of its conversations. */
  contactsOf(indexes: readonly number[]): string[] {
    return indexes.map((index) => describeOp(this.#shape, index, 1).contact);
  }

  /** Goes on until `stop()`. */
  start(ratePerSecond: number): void {
    this.#begin(ratePerSecond, Number.POSITIVE_INFINITY);
  }

  /** Says no more, and resolves when everything that was said is answered. */
  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
    if (this.#open > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    if (this.#strange.length > 0)
      throw new AggregateError(this.#strange, `answers of no kind: ${this.#strange.join(', ')}`);
  }

  /** Says `count` messages and resolves when all are answered. */
  async run(count: number, ratePerSecond = 2000): Promise<void> {
    this.#begin(ratePerSecond, this.#launched + count);
    await this.#loop;
    await this.stop();
  }

  #begin(ratePerSecond: number, until: number): void {
    this.#running = true;
    this.#loop = this.#say(ratePerSecond, until);
  }

  async #say(ratePerSecond: number, until: number): Promise<void> {
    let credit = 0;
    let lastMs = performance.now();
    while (this.#running && this.#launched < until) {
      const nowMs = performance.now();
      credit = Math.min(credit + ((nowMs - lastMs) * ratePerSecond) / 1000, ratePerSecond / 2);
      lastMs = nowMs;
      while (credit >= 1 && this.#free.length > 0 && this.#launched < until) {
        credit -= 1;
        this.#launch();
      }
      await delay(TICK_MS);
    }
  }

  #launch(): void {
    const at = this.#random.whole(0, this.#free.length - 1);
    const index = this.#free.splice(at, 1)[0] ?? 0;
    const n = (this.#counts[index] ?? 0) + 1;
    this.#counts[index] = n;
    this.#launched += 1;
    this.#open += 1;
    const record: OpRecord = {
      ...describeOp(this.#shape, index, n),
      state: 'trying',
      id: undefined,
      acceptedAtMs: undefined,
      startedAtMs: steadyNowMs(),
      ids: new Set(),
    };
    this.ops.push(record);
    this.onOp?.(record);
    void this.#untilAnswered(record)
      .then(() => this.#free.push(index))
      .catch((error: unknown) => this.#strange.push(error))
      .then(() => {
        this.#open -= 1;
        this.onOp?.(record);
        if (this.#open === 0) this.#onIdle?.();
      });
  }

  async #untilAnswered(record: OpRecord): Promise<void> {
    for (;;) {
      const startMs = performance.now();
      const answer = await this.#accept(record);
      this.tryMsMax = Math.max(this.tryMsMax, performance.now() - startMs);
      if (answer.kind === 'ok') {
        record.ids.add(answer.id);
        record.id = answer.id;
        record.state = 'ok';
        record.acceptedAtMs = steadyNowMs();
        return;
      }
      if (answer.kind === 'refused' || answer.kind === 'unknown') {
        record.state = answer.kind;
        return;
      }
      this.repeats += 1;
      await delay(AGAIN_AFTER_MS);
    }
  }
}

/** The n-th message of a load's conversation. */
export function describeOp(shape: LoadShape, index: number, n: number): Op {
  const conversation = `${shape.name}${index}`;
  const tenant = `${shape.tenantPrefix ?? 't'}${index % shape.tenants}`;
  const sender = shape.senders[index % shape.senders.length] ?? 's1';
  const contact = index % (shape.contacts ?? shape.conversations);
  const block = seedOf(1, shape.name) % 9000;
  return {
    op: `${conversation}#${n}`,
    conversation,
    n,
    tenant,
    sender,
    contact: `+9665${String(1000 + block)}${String(contact).padStart(4, '0')}`,
    priority: 1 + (index % 10),
  };
}

/** What the engine is asked to store for an operation; every try has an id of its own, as the API's has. */
export function messageOf(op: Op, tenantConcurrency: number): NewMessage {
  const body: MessageBody = { to: op.contact, type: 'text', content: { body: op.op }, createdAtMs: Date.now() };
  return {
    id: newId(),
    lane: { sender: op.sender, tenant: op.tenant, conversation: op.conversation },
    contact: op.contact,
    priority: op.priority,
    idempotency: { key: op.op, bodyDigest: createHash('sha256').update(op.op).digest() },
    body: JSON.stringify(body),
    tenantLimits: { concurrency: tenantConcurrency, weight: 1, backlogMax: 1_000_000 },
  };
}

/**
 * Accepts through the engine in this process, as the API does.
 * @param hasKeys false: no idempotency keys, so only the engine itself can tell a repeated call
 */
export function acceptThrough(
  queue: RedisSendQueue,
  tenantConcurrency: number,
  onUnknownSender?: (sender: string) => Promise<void>,
  hasKeys = true,
): Accept {
  return async (op) => {
    try {
      const { idempotency, ...message } = messageOf(op, tenantConcurrency);
      const result = await queue.accept(hasKeys && idempotency !== undefined ? { ...message, idempotency } : message);
      if (result.kind === 'accepted' || result.kind === 'duplicate') return { kind: 'ok', id: result.id };
      return { kind: result.kind === 'backlog-full' ? 'again' : 'refused' };
    } catch (error) {
      if (error instanceof AppError && error.retryable) return { kind: hasKeys ? 'again' : 'unknown' };
      if (error instanceof UnknownSenderError && onUnknownSender !== undefined) {
        await onUnknownSender(error.sender).catch(() => undefined);
        return { kind: 'again' };
      }
      throw error;
    }
  };
}
