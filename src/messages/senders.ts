import type { SenderLimits, SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import { createMemory } from './memory.ts';
import type { SenderStore } from './ports.ts';
import { DEFAULT_SENDER } from './shard.ts';

export interface SendersOptions {
  readonly store: SenderStore;
  readonly queue: Pick<SendQueue, 'configureSender' | 'pauseSender' | 'pauseTenant'>;
  /** The sender `default` of the settings; null when they name none. Served without asking the record. */
  readonly fromSettings: SenderRecord | null;
}

/** Senders as the accept path sees them: from memory, also while the record is away. */
export interface Senders {
  /**
   * The sender of a tenant's message: the one it names, else the tenant's own (the oldest of several), else `default`.
   * @throws AppError `NOT_FOUND` for a sender that does not exist or belongs to another tenant, `SENDER_MISSING` when
   *   there is none to choose, `RECORD_UNAVAILABLE` when the record is away and this process never saw the answer
   */
  choose(tenant: string, named: string | undefined): Promise<SenderRecord>;
  /** Null when there is none. */
  get(id: string): Promise<SenderRecord | null>;
  /** Makes the engine know the sender, and the tenant's pause on it; asks the engine once per process and sender. */
  prepare(sender: SenderRecord, tenant: TenantRecord): Promise<void>;
  /** The engine lost what it knew of this sender: the next `prepare()` tells it again. */
  forgotten(sender: string): void;
  /** Makes a change of this process count at once, here and in the engine. */
  changed(sender: SenderRecord): Promise<void>;
}

export function createSenders({ store, queue, fromSettings }: SendersOptions): Senders {
  const byId = createMemory<SenderRecord>();
  const owned = createMemory<readonly SenderRecord[]>();
  /** Registrations with the engine: under way or done; failed ones are gone, so that they are tried again. */
  const registered = new Map<string, Promise<void>>();
  const pausedPairs = new Set<string>();

  async function get(id: string): Promise<SenderRecord | null> {
    if (id === DEFAULT_SENDER && fromSettings !== null) return fromSettings;
    return byId.get(id, () => store.get(id));
  }

  async function register(sender: SenderRecord): Promise<void> {
    await queue.configureSender(senderLimits(sender));
    // The pause is told again because a queue that was rebuilt knows nothing of it. The settings' own sender has its
    // pause in the record too.
    const reason = sender === fromSettings ? await pauseOfDefault() : sender.pausedReason;
    if (reason !== null) await queue.pauseSender(sender.id, reason);
  }

  async function pauseOfDefault(): Promise<string | null> {
    try {
      return (await store.get(DEFAULT_SENDER))?.pausedReason ?? null;
    } catch (error) {
      // Accepting must go on without the record; the engine keeps the pause itself.
      if (error instanceof AppError && error.code === 'RECORD_UNAVAILABLE') return null;
      throw error;
    }
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

  return {
    get,
    async choose(tenant, named) {
      if (named !== undefined) {
        const sender = await get(named);
        if (sender !== null && (sender.tenant === null || sender.tenant === tenant)) return sender;
        throw new AppError('NOT_FOUND', { detail: 'There is no such sender for this tenant.', field: 'sender' });
      }
      const [own] = (await owned.get(tenant, () => store.ownedBy(tenant))) ?? [];
      const sender = own ?? (await get(DEFAULT_SENDER));
      if (sender !== null) return sender;
      throw new AppError('SENDER_MISSING');
    },
    async prepare(sender, tenant) {
      await once(sender);
      const pair = JSON.stringify([sender.id, tenant.id]);
      if (tenant.pausedReason === null) {
        pausedPairs.delete(pair);
      } else if (!pausedPairs.has(pair)) {
        await queue.pauseTenant(sender.id, tenant.id);
        pausedPairs.add(pair);
      }
    },
    forgotten(sender) {
      registered.delete(sender);
      for (const pair of pausedPairs) if ((JSON.parse(pair) as string[])[0] === sender) pausedPairs.delete(pair);
    },
    async changed(sender) {
      byId.set(sender.id, sender);
      owned.clear();
      registered.delete(sender.id);
      await once(sender);
    },
  };
}

export function senderLimits(sender: SenderRecord): SenderLimits {
  const { ratePerSecond, burst, concurrency, pairGapMs, pairBucketCapacity, pairBucketRefillPerSecond } = sender;
  const limits = { ratePerSecond, burst, concurrency, pairGapMs, pairBucketCapacity, pairBucketRefillPerSecond };
  return { sender: sender.id, shard: sender.shard, ...limits };
}
