import type { EventsOut, SenderRecord } from '../../record/index.ts';
import { detailOf } from '../event-detail.ts';
import type { InboundHooks } from '../hooks.ts';

const TYPES = {
  template: 'template.updated',
  sender: 'sender.updated',
  'contact-changed': 'contact.updated',
  preference: 'contact.preference',
} as const;

/**
 * Tells products what a provider says about their templates, senders and people. Messages are told by the statement
 * that records them; here they only wake whoever sends.
 */
export function eventHooks(parts: {
  readonly outbox: Pick<EventsOut, 'add'>;
  readonly senderOf: (id: string) => Promise<Pick<SenderRecord, 'id' | 'tenant'> | null>;
  readonly wake: () => void;
  readonly now?: () => number;
}): InboundHooks {
  const now = parts.now ?? Date.now;
  return {
    onInbound() {
      parts.wake();
      return Promise.resolve();
    },

    async onProviderEvent({ webhookId, item, provider, senders, event }) {
      const { event: word, detail } = detailOf(event);
      // Of an account: it concerns each of our senders there, and whoever owns them.
      for (const id of senders) {
        const tenant = (await parts.senderOf(id))?.tenant ?? null;
        await parts.outbox.add({
          source: `provider:${webhookId}:${item}:${id}`,
          tenant,
          sender: id,
          type: TYPES[event.kind],
          data: { tenant, sender: id, provider, event: word, ...detail },
          occurredAtMs: now(),
        });
      }
      parts.wake();
    },
  };
}
