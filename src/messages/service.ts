import { setImmediate as nextTurn } from 'node:timers/promises';
import { UnknownSenderError, type AcceptResult, type NewMessage, type SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { MessageBody } from '../model/message.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import { unsuitable } from '../providers/suitability.ts';
import { newId } from '../util/ids.ts';
import { currentTraceparent, inSpan } from '../util/traces.ts';
import type { MessageStore } from './ports.ts';
import { bodyText, prepareMessage, type PreparedMessage } from './prepare.ts';
import { tenantOf, type Principal } from './principal.ts';
import { forecast, type Forecast } from './forecast.ts';
import { createReading, type Reading } from './reading.ts';
import { batchItemSchema, parseRequest, type MessageRequest } from './request.ts';
import type { Senders } from './senders.ts';
import { type AttemptTime, UNMEASURED } from './supply.ts';
import { limitsOf, type Tenants } from './tenants.ts';
import { acceptedView, type MessageView } from './view.ts';

export interface MessagesOptions {
  readonly queue: SendQueue;
  readonly store: MessageStore;
  readonly tenants: Tenants;
  readonly senders: Senders;
  /** Wall clock, epoch ms. Default `Date.now`. */
  readonly now?: () => number;
  /** STATUS_WATCHDOG_SECONDS in ms; default an hour. */
  readonly statusWatchdogMs?: number;
  /** How long attempts of a sender take on average, ms; null = nothing was measured. Default: nothing ever is. */
  readonly meanAttemptMs?: (sender: string) => Promise<number | null>;
  /** Limits of a tenant that does not exist yet. */
  readonly tenantDefaults?: { readonly concurrency: number; readonly weight: number };
  /** Hears of a message that was skipped because its content went to the same recipient within 24 h. */
  readonly onDuplicateContent?: (first: { readonly id: string; readonly tenant: string }) => void;
}

export interface AcceptOptions {
  readonly idempotencyKey?: string | undefined;
  /** The key alone says that it is the same request: another body under it is a duplicate too. Default false. */
  readonly isSameByKey?: boolean;
  /** How long to wait for the message to be sent, ms; 0 (default) = not at all. */
  readonly waitMs?: number;
  /** With `dedupe`: what this kind of message is called, part of its key. Default: its type. */
  readonly contentLabel?: string | undefined;
}

/** A valid message with its tenant and sender, before anything was stored. */
export interface Draft {
  readonly tenant: TenantRecord;
  readonly sender: SenderRecord;
  readonly prepared: PreparedMessage;
  readonly message: NewMessage;
}

export interface Accepted {
  readonly message: MessageView;
  /** Exactly one of the three: stored and waiting, handed to a worker at once, or the first one of its key. */
  readonly result: 'queued' | 'immediate' | 'duplicate';
  /** The provider took it within `waitMs`. */
  readonly sentInTime: boolean;
}

export type BatchResult = Accepted | AppError;

/** What a request becomes. The one door through which messages enter, whatever the way they came. */
export interface Messages extends Reading {
  /**
   * Stores one message; when it returns, the message is on disk.
   * @throws AppError of the catalogue; nothing was stored, save for `QUEUE_UNAVAILABLE`, which may have been
   */
  accept(request: MessageRequest, principal: Principal, options?: AcceptOptions): Promise<Accepted>;
  /**
   * The message that a request means, checked like an accept and stored nowhere: for the way past the queue.
   * @throws AppError of the catalogue
   */
  draft(request: MessageRequest, principal: Principal, options?: AcceptOptions): Promise<Draft>;
  /**
   * Stores many; the failure of one changes nothing for the others. Items of one conversation keep their order.
   * @param items unchecked: each is validated by itself
   * @returns one result per item, in order
   */
  acceptBatch(items: readonly unknown[], principal: Principal): Promise<BatchResult[]>;
  /**
   * When so many messages to as many people would be done, if they were accepted now.
   * @param tenant who would send them: the key's tenant, else the sender's owner, else `default`
   * @throws AppError `NOT_FOUND` for a sender or a tenant that there is not, `QUEUE_UNAVAILABLE`, `RECORD_UNAVAILABLE`
   */
  forecast(sender: string, messages: number, principal: Principal, tenant?: string): Promise<Forecast>;
}

/** What the sender's provider cannot say is refused before anything is stored. */
function refuseUnsuitable(sender: SenderRecord, body: MessageBody): void {
  const found = unsuitable(sender, body);
  if (found === null) return;
  throw new AppError('MESSAGE_UNSUPPORTED', {
    field: found.field,
    detail: `${found.sentence} The message would go through the sender ${sender.id}.`,
  });
}

/** Items validated in one go; other requests get their turn in between. */
const ITEMS_PER_TURN = 50;

export function createMessages(options: MessagesOptions): Messages {
  const { queue, store, tenants, senders } = options;
  const now = options.now ?? Date.now;
  async function attemptTime(sender: string): Promise<AttemptTime> {
    // Without the record nothing is lost but accuracy.
    const meanMs = await options.meanAttemptMs?.(sender).catch((error: unknown) => {
      if (error instanceof AppError) return null;
      throw error;
    });
    return meanMs === undefined || meanMs === null ? UNMEASURED : { meanMs, isMeasured: true };
  }

  const reading = createReading({
    queue,
    store,
    senders,
    attemptTime,
    ...(options.statusWatchdogMs === undefined ? {} : { statusWatchdogMs: options.statusWatchdogMs }),
  });

  async function draft(
    request: MessageRequest,
    principal: Principal,
    { idempotencyKey, contentLabel }: AcceptOptions = {},
  ): Promise<Draft> {
    const tenantId = tenantOf(principal, request.tenant);
    const nowMs = now();
    const prepared = prepareMessage(request, { idempotencyKey, nowMs, contentLabel });
    const traceparent = currentTraceparent();
    const body = bodyText(traceparent === undefined ? prepared.body : { ...prepared.body, traceparent });
    const tenant = await tenants.resolve(tenantId);
    const sender = await senders.choose(tenant.id, request.sender);
    refuseUnsuitable(sender, prepared.body);
    const message: NewMessage = {
      id: newId(nowMs),
      lane: { sender: sender.id, tenant: tenant.id, conversation: prepared.conversation },
      contact: prepared.contact,
      priority: prepared.priority,
      ...(prepared.sendAtMs === null ? {} : { sendAtMs: prepared.sendAtMs }),
      ...(prepared.expiresAtMs === null ? {} : { expiresAtMs: prepared.expiresAtMs }),
      ...(prepared.idempotency === null ? {} : { idempotency: prepared.idempotency }),
      body,
      tenantLimits: limitsOf(tenant),
    };
    return { tenant, sender, prepared, message };
  }

  async function registered(request: MessageRequest, principal: Principal, options: AcceptOptions): Promise<Draft> {
    const made = await draft(request, principal, options);
    await senders.prepare(made.sender, made.tenant);
    return made;
  }

  /** Tells the engine of the sender again and repeats: it lost its memory, for instance with an emptied Redis. */
  async function acceptAgain({ sender, tenant, message }: Draft): Promise<AcceptResult> {
    senders.forgotten(sender.id);
    await senders.prepare(sender, tenant);
    return queue.accept(message);
  }

  async function submit(candidate: Draft): Promise<AcceptResult> {
    try {
      return await queue.accept(candidate.message);
    } catch (error) {
      if (error instanceof UnknownSenderError) return acceptAgain(candidate);
      throw error;
    }
  }

  async function conclude(candidate: Draft, result: AcceptResult, principal: Principal): Promise<Accepted> {
    const { prepared, message } = candidate;
    const fields = {
      ...message.lane,
      body: prepared.body,
      priority: prepared.priority,
      sendAtMs: prepared.sendAtMs,
      expiresAtMs: prepared.expiresAtMs,
    };
    switch (result.kind) {
      case 'accepted': {
        const view = acceptedView({ ...fields, id: result.id }, false);
        return { message: view, result: result.immediate ? 'immediate' : 'queued', sentInTime: false };
      }
      case 'duplicate': {
        const first = await firstOf(result.id, principal, message.lane.tenant);
        const view = first ?? acceptedView({ ...fields, id: result.id }, true);
        if (prepared.isContentKey) options.onDuplicateContent?.({ id: result.id, tenant: message.lane.tenant });
        return { message: { ...view, duplicate: true }, result: 'duplicate', sentInTime: false };
      }
      case 'key-reused':
        throw new AppError('IDEMPOTENCY_KEY_REUSED');
      case 'backlog-full':
        throw new AppError('BACKLOG_FULL');
    }
  }

  /** The message that came first under the key, or null when it cannot be read now: the answer must not fail for it. */
  async function firstOf(id: string, principal: Principal, tenant: string): Promise<MessageView | null> {
    try {
      return await reading.get(id, principal, tenant);
    } catch (error) {
      if (error instanceof AppError && (error.code === 'NOT_FOUND' || error.retryable)) return null;
      throw error;
    }
  }

  async function awaitSent(accepted: Accepted, outcome: Promise<unknown>, principal: Principal): Promise<Accepted> {
    // When the waiting breaks, the message is accepted all the same.
    if ((await outcome.catch(() => null)) === null) return accepted;
    const { id, tenant } = accepted.message;
    const current = (await firstOf(id, principal, tenant)) ?? accepted.message;
    return { ...accepted, message: current, sentInTime: ['sent', 'delivered', 'read'].includes(current.status) };
  }

  async function acceptNow(request: MessageRequest, principal: Principal, options: AcceptOptions): Promise<Accepted> {
    const { waitMs = 0 } = options;
    const candidate = await registered(request, principal, options);
    // Before the accept, so that an event in between is not missed.
    const outcome = waitMs > 0 ? queue.waitForOutcome(candidate.message.id, waitMs) : null;
    outcome?.catch(() => undefined);
    const result = await submit(candidate);
    const isFirst = options.isSameByKey === true && result.kind === 'key-reused';
    const accepted = await conclude(candidate, isFirst ? { kind: 'duplicate', id: result.id } : result, principal);
    return outcome === null || accepted.result === 'duplicate' ? accepted : awaitSent(accepted, outcome, principal);
  }

  return {
    ...reading,
    draft,

    async forecast(named, count, principal, scope) {
      const wished = tenantOf(principal, scope);
      const isUnnamed = principal.kind === 'platform' && scope === undefined;
      const sender = isUnnamed ? await senders.byId(named) : await senders.choose(wished, named);
      const tenant = isUnnamed ? (sender.tenant ?? wished) : wished;
      const known = await tenants.known(tenant);
      if (known === null && scope !== undefined) {
        throw new AppError('NOT_FOUND', { detail: 'There is no such tenant.', field: 'tenant' });
      }
      const [look, time] = await Promise.all([
        senders.knowing(async () => {
          const found = await queue.lookAtSender(sender.id, tenant);
          // An emptied Redis knows nobody: the sender is told again and looked at once more.
          if (found === null) throw new UnknownSenderError(sender.id);
          return found;
        }),
        attemptTime(sender.id),
      ]);
      return forecast({
        sender: sender.id,
        tenant,
        messages: count,
        look,
        time,
        tenantLimits: known ?? options.tenantDefaults ?? { concurrency: 5, weight: 1 },
        nowMs: now(),
      });
    },

    async accept(request, principal, options = {}) {
      // Only within a trace that is recorded: a span costs more than the work around it.
      if (currentTraceparent() === undefined) return await acceptNow(request, principal, options);
      return await inSpan('accept message', {}, async (span) => {
        const accepted = await acceptNow(request, principal, options);
        const { id, tenant, sender } = accepted.message;
        const result = accepted.result;
        span.setAttributes({ 'waxwing.message.id': id, 'waxwing.tenant': tenant, 'waxwing.sender': sender });
        span.setAttribute('waxwing.result', result);
        return accepted;
      });
    },

    async acceptBatch(items, principal) {
      const candidates: (Draft | AppError)[] = [];
      for (let from = 0; from < items.length; from += ITEMS_PER_TURN) {
        if (from > 0) await nextTurn();
        const part = items.slice(from, from + ITEMS_PER_TURN).map(async (item, index) => {
          try {
            const { idempotencyKey, ...request } = parseRequest(batchItemSchema, item);
            return await registered(request, principal, { idempotencyKey });
          } catch (error) {
            throw ofItem(error, `messages[${from + index}]`);
          }
        });
        candidates.push(...(await settled(part)));
      }
      // All calls are made in this one tick, in order: the engine joins them and keeps the order of the calls.
      const results = await settled(
        candidates.map((one) => (one instanceof AppError ? Promise.reject(one) : queue.accept(one.message))),
        UnknownSenderError,
      );
      const concluded: BatchResult[] = [];
      for (const [index, result] of results.entries()) {
        const candidate = candidates[index];
        if (candidate === undefined || candidate instanceof AppError) {
          concluded.push(candidate ?? new AppError('INTERNAL'));
          continue;
        }
        // One after the other: those that must be repeated keep their order too.
        const [done] = await settled([concludeItem(candidate, result, principal)]);
        concluded.push(done ?? new AppError('INTERNAL'));
      }
      return concluded;
    },
  };

  async function concludeItem(
    candidate: Draft,
    result: AcceptResult | AppError | UnknownSenderError,
    principal: Principal,
  ): Promise<Accepted> {
    if (result instanceof AppError) throw result;
    const final = result instanceof UnknownSenderError ? await submit(candidate) : result;
    return conclude(candidate, final, principal);
  }
}

/** Waits for all; operating errors (and those of `other`) become values, anything else is a bug and is thrown. */
async function settled<T, E extends Error = never>(
  promises: readonly Promise<T>[],
  other?: new (...parameters: never[]) => E,
): Promise<(T | AppError | E)[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'fulfilled') return result.value;
    const reason: unknown = result.reason;
    if (reason instanceof AppError) return reason;
    if (other !== undefined && reason instanceof other) return reason;
    throw reason;
  });
}

/** The fault of an item, with the field's path from the top of the batch. */
function ofItem(error: unknown, item: string): unknown {
  if (!(error instanceof AppError) || (error.field === undefined && error.status >= 500)) return error;
  const { code, detail, retryAfterSeconds, field } = error;
  return new AppError(code, {
    detail,
    field: field === undefined ? item : `${item}${field.startsWith('[') ? '' : '.'}${field}`,
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
