import { isDeepStrictEqual } from 'node:util';
import { UnknownSenderError, type SenderLimits, type SendQueue } from '../engine/contract.ts';
import { AppError, hasCode } from '../errors/app-error.ts';
import { nullWhileAway } from '../errors/while-away.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import { EVICTED, type Evictions, followEvictions } from './evictions.ts';
import { createMemory } from './memory.ts';
import type { SenderStore, TenantStore } from './ports.ts';
import { DEFAULT_SENDER } from './shard.ts';
import { oldestOwned } from './usable-senders.ts';

export interface SendersOptions {
  readonly store: SenderStore;
  readonly tenantStore: Pick<TenantStore, 'get'>;
  readonly queue: Pick<SendQueue, 'configureSender' | 'pauseSender' | 'resumeSender' | 'pauseTenant' | 'resumeTenant'>;
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

/** Changes of one sender that overtake each other; more in a row means that two people disagree. */
const TRIES = 5;

export function createSenders(options: SendersOptions): Senders {
  const { store, tenantStore, queue, fromSettings, evictions, onRemembered } = options;
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
  /** Registrations with the engine, under way or done; one that failed is gone, so that it is tried again. */
  const registered = new Map<string, Promise<void>>();
  /** Pauses of a tenant on a sender that this process told the engine: sender → tenants. */
  const pausedTenants = new Map<string, Set<string>>();
  const settingsSenders = new Map(fromSettings.map((sender) => [sender.id, sender]));
  const isFromSettings = (id: string) => settingsSenders.has(id);

  async function get(id: string): Promise<SenderRecord | null> {
    return settingsSenders.get(id) ?? byId.get(id, () => cached.get(id));
  }

  async function register(sender: SenderRecord): Promise<void> {
    await queue.configureSender(senderLimits(sender));
    // A queue that was rebuilt knows nothing of pauses.
    await tellPause(async () => (await store.get(sender.id))?.pausedReason ?? null, {
      pause: (reason) => queue.pauseSender(sender.id, reason),
      resume: () => queue.resumeSender(sender.id),
    });
  }

  function once(sender: SenderRecord): Promise<void> {
    const known = registered.get(sender.id);
    if (known !== undefined) return known;
    const started = register(sender);
    registered.set(sender.id, started);
    started.catch(() => {
      if (registered.get(sender.id) === started) registered.delete(sender.id);
    });
    return started;
  }

  /** The sender as the record has it, when its limits are other ones by now. */
  async function newerThan(sender: SenderRecord): Promise<SenderRecord | null> {
    const current = await nullWhileAway(store.get(sender.id));
    return current === null || isDeepStrictEqual(senderLimits(current), senderLimits(sender)) ? null : current;
  }

  function forget(sender: string): void {
    registered.delete(sender);
    pausedTenants.delete(sender);
  }

  return {
    isFromSettings,
    async knowing(call) {
      try {
        return await call();
      } catch (error) {
        const sender = error instanceof UnknownSenderError ? await get(error.sender) : null;
        if (sender === null) throw error;
        forget(sender.id);
        await once(sender);
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
      await once(sender);
      const told = pausedTenants.get(sender.id);
      if (tenant.pausedReason === null) {
        told?.delete(tenant.id);
        return;
      }
      if (told?.has(tenant.id) === true) return;
      await tellPause(async () => (await tenantStore.get(tenant.id))?.pausedReason ?? null, {
        pause: () => queue.pauseTenant(sender.id, tenant.id),
        resume: () => queue.resumeTenant(sender.id, tenant.id),
      });
      pausedTenants.set(sender.id, (told ?? new Set()).add(tenant.id));
    },
    forgotten: forget,
    async changed(sender) {
      const { id } = sender;
      ownSender.clear();
      if (!isFromSettings(id)) {
        byId.set(id, sender);
        // Somebody may have changed it again meanwhile: it serves while the record is away.
        byId.expire(id);
      }
      let told: SenderRecord | null = sender;
      // Whoever tells the engine last tells it what the record says.
      for (let tried = 0; tried < TRIES && told !== null; tried += 1) {
        registered.delete(id);
        await once(told);
        told = isFromSettings(id) ? null : await newerThan(told);
      }
    },
  };
}

/**
 * Tells the engine of a pause that stands in the record. Another process may lift it at the same moment, so the record
 * is asked before and after: a pause that was told too late is taken back.
 */
async function tellPause(
  recordedReason: () => Promise<string | null>,
  tell: { pause(reason: string): Promise<void>; resume(): Promise<void> },
): Promise<void> {
  try {
    const reason = await recordedReason();
    if (reason === null) return;
    await tell.pause(reason);
    if ((await recordedReason()) === null) await tell.resume();
  } catch (error) {
    // Accepting must go on without the record; a pause that the engine knows it keeps by itself.
    if (!hasCode(error, 'RECORD_UNAVAILABLE')) throw error;
  }
}

export function senderLimits(sender: Pick<SenderRecord, 'id'> & Omit<SenderLimits, 'sender'>): SenderLimits {
  const { ratePerSecond, burst, concurrency, pairGapMs, pairBucketCapacity, pairBucketRefillPerSecond } = sender;
  const limits = { ratePerSecond, burst, concurrency, pairGapMs, pairBucketCapacity, pairBucketRefillPerSecond };
  return { sender: sender.id, shard: sender.shard, ...limits };
}
