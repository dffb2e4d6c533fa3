import { setTimeout as delay } from 'node:timers/promises';
import type { SendQueue } from '../engine/contract.ts';
import type { Direct } from '../record/index.ts';
import type { Accepted } from './conclude.ts';
import { DirectKeys } from './direct-keys.ts';
import { type DirectSendPorts, prepareDirect } from './direct-send.ts';
import type { Draft } from './draft.ts';
import { LaneTurns } from './lane-turns.ts';
import type { Principal } from './principal.ts';
import type { QueueSwitch } from './queue-switch.ts';
import type { MessageRequest } from './request.ts';
import type { AcceptOptions, Messages } from './service.ts';

export interface ShortSendOptions extends Omit<DirectSendPorts, 'keys' | 'messages'> {
  readonly messages: Pick<Messages, 'accept' | 'draft' | 'get'>;
  readonly queue: Pick<SendQueue, 'isReachable' | 'lookAtLane'>;
  readonly isOnQueue: QueueSwitch;
  /** WHATSAPP_SEND_FALLBACK: what happens while the queue cannot be reached. */
  readonly fallback: 'direct' | 'reject';
  readonly keys: Pick<Direct, 'claim' | 'release'>;
  /** How long from the call on a direct send waits for what the queue still holds of its conversation, ms. */
  readonly queueDrainMs?: number;
  /** Hears that the queue was bypassed because it could not be reached. */
  readonly onFallback?: (tenant: string) => void;
}

export interface ShortSent extends Pick<Accepted, 'message' | 'result'> {
  /** The queue was bypassed: the provider has taken the message already. */
  readonly direct: boolean;
}

/** The short way to send: through the queue, or past it when that is switched off or away. */
export interface ShortSend {
  /**
   * @returns on the queue: as `Messages.accept()`. Direct: when the provider has taken it; a repetition waits for the
   *   first call of its key and is answered as that one was
   * @throws AppError as `Messages.accept()`; direct: `DIRECT_NOT_SENT` (retryable), `DIRECT_REFUSED`, `DIRECT_UNKNOWN`
   */
  send(request: MessageRequest, principal: Principal, options?: Omit<AcceptOptions, 'waitMs'>): Promise<ShortSent>;
}

const DRAIN_LOOK_MS = 50;

export function createShortSend(options: ShortSendOptions): ShortSend {
  const { messages, queue, queueDrainMs = 10_000 } = options;
  const ports: DirectSendPorts = { ...options, keys: new DirectKeys(options.keys) };
  const turns = new LaneTurns();

  async function onQueue(request: MessageRequest, principal: Principal, how: AcceptOptions): Promise<ShortSent> {
    const { message, result } = await messages.accept(request, principal, how);
    return { message, result, direct: false };
  }

  return {
    async send(request, principal, how = {}) {
      const askedAtMs = performance.now();
      const draft = await messages.draft(request, principal, how);
      const isReachable = queue.isReachable();
      if (options.isOnQueue(draft.tenant)) {
        // A queue that was asked may have stored the message although no answer came: then there is no safe way past it.
        if (isReachable || options.fallback === 'reject') return await onQueue(request, principal, how);
        options.onFallback?.(draft.tenant.id);
      }
      return await turns.run(draft.message.lane, async () => {
        // From the call on: those that wait behind others of their conversation do not wait once more after them.
        const giveUpAtMs = askedAtMs + queueDrainMs;
        const looked = isReachable ? await untilDrained(queue, draft, giveUpAtMs) : { pairFreeInMs: 0 };
        if (looked === 'still-waiting') {
          // What the queue holds of this conversation goes first; behind it is the only place that keeps the order.
          const sent = await onQueue(request, principal, how);
          return () => Promise.resolve(sent);
        }
        const { pairFreeInMs } = looked;
        const begin = await prepareDirect(ports, draft, { askedAtMs, pairFreeInMs }, principal);
        return async () => ({ ...(await begin()), direct: true });
      });
    },
  };
}

/** Waits until the queue holds nothing of the draft's conversation. @param giveUpAtMs monotonic ms */
async function untilDrained(
  queue: Pick<SendQueue, 'lookAtLane'>,
  { message }: Draft,
  giveUpAtMs: number,
): Promise<'still-waiting' | { readonly pairFreeInMs: number }> {
  for (;;) {
    let looked;
    try {
      looked = await queue.lookAtLane(message.lane, message.contact);
    } catch {
      // The engine does not know the sender, or went away: it holds nothing that this process could wait for.
      return { pairFreeInMs: 0 };
    }
    if (looked.waiting === 0) return looked;
    if (performance.now() > giveUpAtMs) return 'still-waiting';
    await delay(DRAIN_LOOK_MS);
  }
}
