import { webhookError, graphErrorEntry } from './graph-error.ts';
import type { ChatMessage, Conversations, ShownStatus } from './conversations.ts';
import type { Outbox } from './outbox.ts';
import type { ParsedMessage } from './request.ts';
import type { Settings } from './settings.ts';
import type { Timers } from './timers.ts';

/** A message that went out and whose fate is still to be told. */
export interface TakenMessage {
  readonly phoneNumberId: string;
  readonly request: ParsedMessage;
  readonly chat: ChatMessage;
  /** `v23.0` or empty: up to v23 statuses carry `conversation`. */
  readonly apiVersion: string;
  readonly category: string;
  /** Error that ends it, or null when all goes well. */
  readonly failure: { code: number; details?: string } | null;
}

/** Tells what becomes of messages: sent → delivered → read (→ played), or failed. */
export class Statuses {
  readonly #settings: () => Settings;
  readonly #timers: Timers;
  readonly #conversations: Conversations;
  readonly #outbox: Outbox;
  /** Messages whose last status is still to come. */
  #pending = 0;
  #generation = 0;

  constructor(settings: () => Settings, timers: Timers, conversations: Conversations, outbox: Outbox) {
    this.#settings = settings;
    this.#timers = timers;
    this.#conversations = conversations;
    this.#outbox = outbox;
  }

  get pending(): number {
    return this.#pending;
  }

  reset(): void {
    this.#generation += 1;
    this.#pending = 0;
  }

  /** Starts a message's life. */
  begin(message: TakenMessage): void {
    const { statuses } = this.#settings();
    if (!statuses.enabled) return;
    this.#pending += 1;
    this.#step(message, message.failure ? ['failed'] : planOf(message, statuses), this.#generation);
  }

  #step(message: TakenMessage, plan: readonly Step[], generation: number): void {
    const [next, ...rest] = plan;
    if (next === undefined) {
      this.#pending -= 1;
      return;
    }
    const { statuses } = this.#settings();
    const delayMs = delayOf(next, statuses) + Math.random() * statuses.jitterMs;
    const run = (): void => {
      if (generation !== this.#generation) return;
      this.#report(message, next);
      this.#step(message, rest, generation);
    };
    if (delayMs < 1) run();
    else this.#timers.after(delayMs, run);
  }

  #report(message: TakenMessage, step: Step): void {
    const status: ShownStatus = step === 'read-at-once' ? 'read' : step;
    const { phoneNumberId, request, chat, failure } = message;
    const shownError = failure ? `${failure.code} ${graphErrorEntry(failure.code).title}` : undefined;
    this.#conversations.setStatus(phoneNumberId, request.party, chat, status, shownError);
    this.#outbox.send({
      phoneNumberId,
      kind: 'statuses',
      value: statusValue(message, status),
      contact: status === 'failed' ? null : contactOf(request),
    });
  }
}

type Step = Exclude<ShownStatus, 'accepted'> | 'read-at-once';

function planOf(message: TakenMessage, statuses: Settings['statuses']): Step[] {
  const plan: Step[] = ['sent'];
  // Only a sent status ever comes for a reaction.
  if (message.request.type === 'reaction') return plan;
  if (Math.random() >= statuses.deliveredProbability) return plan;
  const read = Math.random() < statuses.readProbability;
  if (read && Math.random() < statuses.skipDeliveredProbability) plan.push('read-at-once');
  else plan.push('delivered', ...(read ? (['read'] as const) : []));
  const content = message.request.content as { voice?: unknown } | undefined;
  if (read && message.request.type === 'audio' && content?.voice === true) plan.push('played');
  return plan;
}

function delayOf(step: Step, statuses: Settings['statuses']): number {
  if (step === 'sent' || step === 'failed') return statuses.sentDelayMs;
  return step === 'delivered' || step === 'read-at-once' ? statuses.deliveredDelayMs : statuses.readDelayMs;
}

function statusValue(message: TakenMessage, status: string): Record<string, unknown> {
  const { request, chat, failure } = message;
  const party = request.partyKind === 'user' ? { recipient_user_id: request.party } : { recipient_id: request.party };
  return {
    id: chat.id,
    status,
    timestamp: String(Math.floor(Date.now() / 1000)),
    ...party,
    ...(request.partyKind === 'group' ? { recipient_type: 'group' } : {}),
    ...(request.tag === null ? {} : { biz_opaque_callback_data: request.tag }),
    ...(status === 'sent' || status === 'delivered' ? accounting(message, status) : {}),
    ...(failure && status === 'failed' ? { errors: [webhookError(failure.code, failure.details)] } : {}),
  };
}

function accounting(message: TakenMessage, status: string): Record<string, unknown> {
  const free = message.category === 'service';
  const pricing = {
    billable: !free,
    pricing_model: 'PMP',
    type: free ? 'free_customer_service' : 'regular',
    category: message.category,
  };
  const major = Number(/^v(\d+)/.exec(message.apiVersion)?.[1] ?? 24);
  if (major >= 24) return { pricing };
  const conversation = {
    // Made from the pair, so that all messages of a chat name the same one.
    id: Buffer.from(`${message.phoneNumberId}.${message.request.party}`).toString('hex').slice(-32),
    ...(status === 'sent' ? { expiration_timestamp: String(Math.floor(Date.now() / 1000) + 86_400) } : {}),
    origin: { type: message.category },
  };
  return { conversation, pricing };
}

function contactOf(request: ParsedMessage): Record<string, unknown> | null {
  if (request.partyKind === 'group') return null;
  return request.partyKind === 'user' ? { user_id: request.party } : { wa_id: request.party };
}
