import { UnknownSenderError } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import { EVICTED, type Evictions, followEvictions } from './evictions.ts';
import { createMemory } from './memory.ts';
import type { SenderStore } from './ports.ts';
import { SenderRegistrations, type RegistrationOptions } from './sender-registrations.ts';
import { DEFAULT_SENDER } from './shard.ts';
import { oldestOwned } from './usable-senders.ts';

export interface SendersOptions extends RegistrationOptions {
  readonly store: SenderStore;
  /** The senders that the settings describe, `default` first. Served without asking the record. */
  readonly fromSettings: readonly SenderRecord[];
  /** Where senders are read from when nothing hangs on the very moment; default `store`. A cache fits. */
  readonly cached?: Pick<SenderStore, 'get'> & { oldestOwned(tenant: string): Promise<SenderRecord | null> };
  /** Changes of other processes count at once; without, within seconds. */
  readonly evictions?: Evictions | undefined;
  /** Hears of each sender, and of each tenant whose own sender was wanted, that memory knew. */
  readonly onRemembered?: { readonly sender: (id: string) => void; readonly owner: (tenant: string) => void };
}

/** Senders as the accept path sees them: from memory, also while the record is away. */
export interface Senders {
  /**
   * The sender of a tenant's message: the one it names, else the tenant's own (the oldest of several), else `default`,
   * else the first that the settings describe.
   * @throws AppError `NOT_FOUND` for a sender that does not exist or belongs to another tenant, `SENDER_MISSING` when
   *   there is none to choose, `RECORD_UNAVAILABLE` when the record is away and this process never saw the answer
   */
  choose(tenant: string, named: string | undefined): Promise<SenderRecord>;
  /** @throws AppError `NOT_FOUND`, `RECORD_UNAVAILABLE` as `choose()` */
  byId(id: string): Promise<SenderRecord>;
  /** Makes the engine know the sender, and the tenant's pause on it; asks the engine once per process and sender. */
  prepare(sender: SenderRecord, tenant: TenantRecord): Promise<void>;
  /** The engine lost what it knew of this sender: the next `prepare()` tells it again. */
  forgotten(sender: string): void;
  /**
   * Runs a call to the engine; when the engine does not know the sender, tells it and runs the call once more. A
   * process that has just started has told the engine nothing yet.
   */
  knowing<T>(call: () => Promise<T>): Promise<T>;
  /** Makes a change of this process count at once, here and in the engine. */
  changed(sender: SenderRecord): Promise<void>;
  /** Is this a sender that the settings describe, and only they can change. */
  isFromSettings(id: string): boolean;
}

export function createSenders(options: SendersOptions): Senders {
  const { store, fromSettings, evictions, onRemembered } = options;
  const registrations = new SenderRegistrations(options);
  const cached = options.cached ?? {
    get: (id: string) => store.get(id),
    oldestOwned: (tenant: string) => oldestOwned(store, tenant),
  };
  const byId = createMemory<SenderRecord>({ ...(onRemembered && { onHit: onRemembered.sender }) });
  const ownSender = createMemory<{ readonly sender: SenderRecord | null }>({
    ...(onRemembered && { onHit: onRemembered.owner }),
  });
  followEvictions(byId, evictions, EVICTED.sender);
  followEvictions(ownSender, evictions, EVICTED.ownedByTenant);
  const settingsSenders = new Map(fromSettings.map((sender) => [sender.id, sender]));
  const isFromSettings = (id: string) => settingsSenders.has(id);

  async function get(id: string): Promise<SenderRecord | null> {
    return settingsSenders.get(id) ?? byId.get(id, () => cached.get(id));
  }

  return {
    isFromSettings,
    async knowing(call) {
      try {
        return await call();
      } catch (error) {
        const sender = error instanceof UnknownSenderError ? await get(error.sender) : null;
        if (sender === null) throw error;
        registrations.forget(sender.id);
        await registrations.register(sender);
        return call();
      }
    },
    async byId(id) {
      const sender = await get(id);
      if (sender === null) throw new AppError('NOT_FOUND', { detail: 'There is no such sender.' });
      return sender;
    },
    async choose(tenant, named) {
      if (named !== undefined) {
        const sender = await get(named);
        if (sender !== null && (sender.tenant === null || sender.tenant === tenant)) return sender;
        throw new AppError('NOT_FOUND', { detail: 'There is no such sender for this tenant.', field: 'sender' });
      }
      // "It has none" is a value of its own here: it is remembered, and serves while the record is away.
      const own = await ownSender.get(tenant, async () => ({ sender: await cached.oldestOwned(tenant) }));
      const sender = own?.sender ?? (await get(DEFAULT_SENDER)) ?? fromSettings[0];
      if (sender?.tenant === null || sender?.tenant === tenant) return sender;
      throw new AppError('SENDER_MISSING');
    },
    async prepare(sender, tenant) {
      await registrations.register(sender);
      await registrations.tellTenantPause(sender, tenant);
    },
    forgotten: (sender) => registrations.forget(sender),
    async changed(sender) {
      const { id } = sender;
      ownSender.clear();
      if (isFromSettings(id)) {
        await registrations.renew(sender);
        return;
      }
      byId.set(id, sender);
      // Somebody may have changed it again meanwhile: it serves while the record is away.
      byId.expire(id);
      await registrations.renewAsRecorded(sender);
    },
  };
}
