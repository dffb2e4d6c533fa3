import type { SendQueue } from '../engine/contract.ts';
import type { ProviderChanges, SenderProvider, SenderRecord } from '../record/index.ts';
import type { ToldEvent } from './event-detail.ts';
import { aliasesOf } from './people.ts';

export interface ProviderEventActionsOptions {
  readonly changes: ProviderChanges;
  readonly senders: { findByExternalId(provider: SenderProvider, externalId: string): Promise<SenderRecord | null> };
  readonly queue: Pick<SendQueue, 'pauseSender' | 'resumeSender'>;
  /** Runs a call to the engine, and tells it of the sender first when it has to. */
  readonly knowing: <T>(call: () => Promise<T>) => Promise<T>;
}

/** What a provider's word about people and accounts changes here. All of it may be done twice. */
export interface ProviderEventActions {
  /**
   * @param covers the only provider id that the webhook's signature speaks for; null = all
   * @returns our ids of the senders that the event is about
   */
  apply(provider: SenderProvider, event: ToldEvent, covers: string | null): Promise<readonly string[]>;
}

export function createProviderEventActions(options: ProviderEventActionsOptions): ProviderEventActions {
  const { changes, queue, knowing } = options;

  async function personChanged(
    provider: SenderProvider,
    event: Extract<ToldEvent, { kind: 'preference' | 'contact-changed' }>,
  ) {
    const sender = await options.senders.findByExternalId(provider, event.externalSenderId);
    if (sender === null) return [];
    // On a shared sender it is meant for every tenant that knows the person.
    if (event.kind === 'contact-changed') {
      await changes.addNames(sender.tenant, aliasesOf(event.before), aliasesOf(event.after));
    } else {
      const { wantsMarketing: isWanted, atMs } = event;
      await changes.setMarketing(sender.tenant, aliasesOf(event.contact), { isWanted, atMs });
    }
    return [sender.id];
  }

  return {
    async apply(provider, event, covers) {
      if (event.kind === 'preference' || event.kind === 'contact-changed') return await personChanged(provider, event);
      const externalId = event.kind === 'sender' ? (event.externalSenderId ?? covers) : covers;
      const senders = await changes.sendersOf(provider, { externalId, accountId: event.accountId });
      if (event.kind === 'sender' && event.state !== 'unchanged') {
        for (const sender of senders) {
          if (event.state === 'paused') {
            const reason = event.reason === null ? event.event : `${event.event}: ${event.reason}`;
            await knowing(() => queue.pauseSender(sender.id, `webhook: ${reason}`.slice(0, 500)));
          } else if (sender.pausedReason === null) {
            // What a person paused, only a person resumes.
            await knowing(() => queue.resumeSender(sender.id));
          }
        }
      }
      return senders.map(({ id }) => id);
    },
  };
}
