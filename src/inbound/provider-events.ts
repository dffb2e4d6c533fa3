import type { SendQueue } from '../engine/contract.ts';
import { type HoldFamily, holdFamily, mayReplaceHold, webhookHold } from '../model/sender-hold.ts';
import type { ProviderChanges, SenderProvider, SenderNews, SenderRecord, SenderStanding } from '../record/index.ts';
import type { ToldEvent } from './event-detail.ts';
import { aliasesOf } from './people.ts';

export interface ProviderEventActionsOptions {
  readonly changes: ProviderChanges;
  readonly senders: { findByExternalId(provider: SenderProvider, externalId: string): Promise<SenderRecord | null> };
  readonly queue: Pick<SendQueue, 'pauseSender' | 'resumeSender' | 'pauseReason'>;
  /** Runs a call to the engine, and tells it of the sender first when it has to. */
  readonly knowing: <T>(call: () => Promise<T>) => Promise<T>;
  /** INBOUND_DEFAULT_TENANT: whose contact a stranger on a shared sender becomes. */
  readonly defaultTenant: string;
}

/** What a provider's word about people and accounts changes here. All of it may be done twice, and in any order. */
export interface ProviderEventActions {
  /**
   * @param covers the only provider id that the webhook's signature speaks for; null = all
   * @param item place in the webhook: later items of one webhook are the later ones
   * @returns our ids of the senders that the event is about
   */
  apply(provider: SenderProvider, event: ToldEvent, covers: string | null, item: number): Promise<readonly string[]>;
}

type SenderEvent = Extract<ToldEvent, { kind: 'sender' }>;

/** Somebody else may change the hold of a sender in between; more often in a row means that they disagree. */
const TRIES = 5;

export function createProviderEventActions(options: ProviderEventActionsOptions): ProviderEventActions {
  const { changes, queue, knowing } = options;

  async function personChanged(
    provider: SenderProvider,
    event: Extract<ToldEvent, { kind: 'preference' | 'contact-changed' }>,
    item: number,
  ) {
    const sender = await options.senders.findByExternalId(provider, event.externalSenderId);
    if (sender === null) return [];
    // On a shared sender it is meant for every tenant that knows the person.
    if (event.kind === 'contact-changed') {
      await changes.addNames(sender.tenant, aliasesOf(event.before), aliasesOf(event.after));
    } else {
      const { wantsMarketing: isWanted, atMs } = event;
      const change = { isWanted, atMs: atMs + item, strangersOf: options.defaultTenant };
      await changes.setMarketing(sender.tenant, aliasesOf(event.contact), change);
    }
    return [sender.id];
  }

  /** Holds it, unless a hold that takes more to end is there already. */
  async function hold(sender: string, reason: string): Promise<void> {
    for (let tried = 0; tried < TRIES; tried += 1) {
      const heldFor = await queue.pauseReason(sender);
      if (heldFor === reason || !mayReplaceHold(heldFor, reason)) return;
      await knowing(() => queue.pauseSender(sender, reason, { heldFor }));
    }
  }

  /** Ends a hold of this kind; what an error or a person put there stays. */
  async function release({ id, pausedReason }: SenderStanding, family: HoldFamily): Promise<void> {
    // What a person paused, only a person resumes.
    for (let tried = 0; tried < TRIES && pausedReason === null; tried += 1) {
      const heldFor = await queue.pauseReason(id);
      if (heldFor === null || holdFamily(heldFor) !== family) return;
      await knowing(() => queue.resumeSender(id, { heldFor }));
    }
  }

  async function senderChanged(sender: SenderStanding, event: SenderEvent, item: number): Promise<void> {
    const reason = webhookHold(event.event, event.reason);
    const family = holdFamily(reason);
    let news: SenderNews = { family, atMs: event.atMs + item, isHeld: event.state === 'paused', reason };
    if (!(await changes.noteNews(sender.id, news))) return;
    // Something newer may be told, and done, in another process meanwhile: whoever acts last looks again.
    for (let tried = 0; tried < TRIES; tried += 1) {
      if (!news.isHeld) await release(sender, family);
      else if (!isOver(sender, news)) await hold(sender.id, news.reason);
      const newest = await changes.newsOf(sender.id, family);
      if (newest === null || newest.isHeld === news.isHeld) return;
      news = newest;
    }
  }

  return {
    async apply(provider, event, covers, item) {
      if (event.kind === 'preference' || event.kind === 'contact-changed') {
        return await personChanged(provider, event, item);
      }
      const externalId = event.kind === 'sender' ? (event.externalSenderId ?? covers) : covers;
      const senders = await changes.sendersOf(provider, { externalId, accountId: event.accountId });
      if (event.kind === 'sender' && event.state !== 'unchanged') {
        for (const sender of senders) await senderChanged(sender, event, item);
      }
      return senders.map(({ id }) => id);
    },
  };
}

/** A person looked after it since. A connection is what it is, whoever wishes otherwise, and its time is local time. */
function isOver({ resumedAtMs }: SenderStanding, { family, atMs }: SenderNews): boolean {
  return family !== 'connection' && resumedAtMs !== null && resumedAtMs >= atMs;
}
