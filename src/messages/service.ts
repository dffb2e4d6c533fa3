import type { SendQueue } from '../engine/contract.ts';
import { currentTraceparent, inSpan } from '../util/traces.ts';
import { acceptBatch, type BatchOptions, type BatchResult } from './batch.ts';
import { awaitSent, conclude, type Accepted, type ConcludePorts } from './conclude.ts';
import { draftMessage, type Draft, type DraftOptions, type DraftPorts } from './draft.ts';
import type { Forecast } from './forecast.ts';
import { forecastNow } from './forecast-now.ts';
import type { MessageStore } from './ports.ts';
import type { Principal } from './principal.ts';
import { createReading, type Reading } from './reading.ts';
import type { MessageRequest } from './request.ts';
import type { Senders } from './senders.ts';
import { submit, type SubmitPorts } from './submit.ts';
import { attemptTimeOf } from './supply.ts';
import type { Tenants } from './tenants.ts';

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

export interface AcceptOptions extends DraftOptions {
  /** The key alone says that it is the same request: another body under it is a duplicate too. Default false. */
  readonly isSameByKey?: boolean;
  /** How long to wait for the message to be sent, ms; 0 (default) = not at all. */
  readonly waitMs?: number;
}

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
  draft(request: MessageRequest, principal: Principal, options?: DraftOptions): Promise<Draft>;
  /**
   * Stores many; the failure of one changes nothing for the others. Items of one conversation keep their order.
   * @param items unchecked: each is validated by itself
   * @returns one result per item, in order
   */
  acceptBatch(items: readonly unknown[], principal: Principal, options?: BatchOptions): Promise<BatchResult[]>;
  /**
   * When so many messages to as many people would be done, if they were accepted now.
   * @param tenant who would send them: the key's tenant, else the sender's owner, else `default`
   * @throws AppError `NOT_FOUND` for a sender or a tenant that there is not, `QUEUE_UNAVAILABLE`, `RECORD_UNAVAILABLE`
   */
  forecast(sender: string, messages: number, principal: Principal, tenant?: string): Promise<Forecast>;
}

export function createMessages(options: MessagesOptions): Messages {
  const { queue, store, tenants, senders, statusWatchdogMs, tenantDefaults, onDuplicateContent } = options;
  const now = options.now ?? Date.now;
  const attemptTime = (sender: string) => attemptTimeOf(options.meanAttemptMs?.(sender));
  const reading = createReading({ queue, store, senders, attemptTime, statusWatchdogMs });
  const ports = { queue, tenants, senders, reading, now, onDuplicateContent };

  return {
    ...reading,
    draft: (request, principal, how = {}) => draftMessage(ports, request, principal, how),
    accept: (request, principal, how = {}) => traced(() => accept(ports, request, principal, how)),
    acceptBatch: (items, principal, options = {}) => acceptBatch(ports, items, principal, options),
    forecast: (sender, messages, principal, tenant) =>
      forecastNow(
        { queue, tenants, senders, attemptTime, tenantDefaults, now },
        { sender, messages, tenant },
        principal,
      ),
  };
}

type AcceptPorts = DraftPorts & SubmitPorts & ConcludePorts & { readonly queue: Pick<SendQueue, 'waitForOutcome'> };

async function accept(
  ports: AcceptPorts,
  request: MessageRequest,
  principal: Principal,
  options: AcceptOptions,
): Promise<Accepted> {
  const { queue, senders, reading } = ports;
  const { waitMs = 0, isSameByKey = false } = options;
  const draft = await draftMessage(ports, request, principal, options);
  await senders.prepare(draft.sender, draft.tenant);
  // Before the accept, so that an event in between is not missed.
  const outcome = waitMs > 0 ? queue.waitForOutcome(draft.message.id, waitMs) : null;
  outcome?.catch(() => undefined);
  const result = await submit(ports, draft);
  const isFirst = isSameByKey && result.kind === 'key-reused';
  const accepted = await conclude(ports, draft, isFirst ? { kind: 'duplicate', id: result.id } : result, principal);
  return outcome === null || accepted.result === 'duplicate'
    ? accepted
    : awaitSent(reading, accepted, outcome, principal);
}

/** Only within a trace that is recorded: a span costs more than the work around it. */
async function traced(work: () => Promise<Accepted>): Promise<Accepted> {
  if (currentTraceparent() === undefined) return await work();
  return await inSpan('accept message', {}, async (span) => {
    const accepted = await work();
    const { id, tenant, sender } = accepted.message;
    span.setAttributes({ 'waxwing.message.id': id, 'waxwing.tenant': tenant, 'waxwing.sender': sender });
    span.setAttribute('waxwing.result', accepted.result);
    return accepted;
  });
}
