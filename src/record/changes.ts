import type { ApiKeys } from './api-keys.ts';
import type { Bookings } from './bookings.ts';
import type { Direct } from './direct.ts';
import type { Chat } from './inbound/chat.ts';
import type { InboundRecord } from './inbound/record.ts';
import type { Alias } from './inbound/types.ts';
import type { ProviderChanges } from './inbound/changes.ts';
import type { ChangedThread } from './recording/write.ts';
import type { Senders } from './senders.ts';
import type { Templates } from './templates.ts';
import type { Tenants } from './tenants.ts';

/**
 * Hears of what changed in the record, after it was committed and before the writer's caller goes on. The one place
 * where caches learn that they are old. None of these may reject: the change has happened.
 */
export interface RecordChanges {
  tenant(id: string): Promise<void>;
  sender(change: { readonly id: string; readonly tenant: string | null }): Promise<void>;
  apiKey(id: string): Promise<void>;
  booking(tenant: string): Promise<void>;
  template(id: string): Promise<void>;
  /** Conversations in which something was sent, received or read. */
  threads(threads: readonly ChangedThread[]): Promise<void>;
  /** Who is behind these names, or what is known of the person, may be another now. */
  contacts(aliases: readonly Alias[]): Promise<void>;
}

/** The stores whose writers tell of their changes. */
export interface AnnouncingStores {
  readonly tenants: Tenants;
  readonly senders: Senders;
  readonly apiKeys: ApiKeys;
  readonly bookings: Bookings;
  readonly inbound: InboundRecord;
  readonly providerChanges: ProviderChanges;
  readonly chat: Chat;
  readonly templates: Templates;
  readonly direct: Direct;
}

/** The writers, with every change told. The recorder tells of its own (`RecordedBatch.threads`). */
export function announced(stores: AnnouncingStores, changes: RecordChanges): AnnouncingStores {
  const { tenants, senders, apiKeys, bookings, inbound, providerChanges, chat, templates, direct } = stores;
  return {
    tenants: {
      ...tenants,
      async ensure(id) {
        const known = await tenants.get(id);
        if (known !== null) return known;
        // Somebody may have asked for it in vain, and remember that.
        const made = await tenants.ensure(id);
        await changes.tenant(id);
        return made;
      },
      async create(tenant) {
        const made = await tenants.create(tenant);
        await changes.tenant(made.id);
        return made;
      },
      async patch(id, fields) {
        const changed = await tenants.patch(id, fields);
        if (changed !== null) await changes.tenant(id);
        return changed;
      },
    },
    senders: {
      ...senders,
      async create(sender) {
        const made = await senders.create(sender);
        await changes.sender(made);
        return made;
      },
      async ensure(sender) {
        const made = await senders.ensure(sender);
        await changes.sender(made);
        return made;
      },
      async patch(id, fields) {
        const changed = await senders.patch(id, fields);
        if (changed !== null) await changes.sender(changed);
        return changed;
      },
    },
    apiKeys: {
      ...apiKeys,
      async create(key) {
        const made = await apiKeys.create(key);
        await changes.apiKey(made.id);
        return made;
      },
      async rotate(id, overlapMs) {
        const rotated = await apiKeys.rotate(id, overlapMs);
        if (rotated !== null) await changes.apiKey(id);
        return rotated;
      },
      async revoke(id) {
        const revoked = await apiKeys.revoke(id);
        if (revoked !== null) await changes.apiKey(id);
        return revoked;
      },
    },
    bookings: {
      ...bookings,
      async create(tenant, ...rest) {
        const made = await bookings.create(tenant, ...rest);
        await changes.booking(tenant);
        return made;
      },
      async change(tenant, ...rest) {
        const changed = await bookings.change(tenant, ...rest);
        if (changed !== null) await changes.booking(tenant);
        return changed;
      },
      async cancel(tenant, id) {
        const cancelled = await bookings.cancel(tenant, id);
        if (cancelled !== null) await changes.booking(tenant);
        return cancelled;
      },
      async stampSent(tenant, ...rest) {
        const stamped = await bookings.stampSent(tenant, ...rest);
        if (stamped) await changes.booking(tenant);
        return stamped;
      },
      async endReminder(tenant, ...rest) {
        await bookings.endReminder(tenant, ...rest);
        await changes.booking(tenant);
      },
    },
    templates: {
      ...templates,
      async add(template) {
        const made = await templates.add(template);
        await changes.template(made.id);
        return made;
      },
      async setState(id, ...rest) {
        const changed = await templates.setState(id, ...rest);
        await changes.template(id);
        return changed;
      },
      async remove(id, ...rest) {
        await templates.remove(id, ...rest);
        await changes.template(id);
      },
    },
    inbound: {
      ...inbound,
      async add(batch) {
        const outcome = await inbound.add(batch);
        // Also for repeats: an earlier attempt may have died between its commit and its word.
        const { recorded } = outcome;
        const people = recorded.filter(({ isPersonChanged }) => isPersonChanged);
        if (recorded.length > 0) await changes.threads(recorded);
        if (people.length > 0) await changes.contacts(people.flatMap(({ message }) => message.aliases));
        return outcome;
      },
    },
    providerChanges: {
      ...providerChanges,
      async setMarketing(tenant, aliases, change) {
        await providerChanges.setMarketing(tenant, aliases, change);
        await changes.contacts(aliases);
      },
      async addNames(tenant, before, after) {
        await providerChanges.addNames(tenant, before, after);
        await changes.contacts([...before, ...after]);
      },
    },
    direct: {
      ...direct,
      async write(messages) {
        const threads = await direct.write(messages);
        await changes.threads(threads);
        return threads;
      },
    },
    chat: {
      ...chat,
      async markRead(key) {
        const read = await chat.markRead(key);
        await changes.threads([{ tenant: key.tenant, conversation: key.id }]);
        return read;
      },
    },
  };
}
