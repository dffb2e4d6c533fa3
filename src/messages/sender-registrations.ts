import { isDeepStrictEqual } from 'node:util';
import type { SenderLimits, SendQueue } from '../engine/contract.ts';
import { hasCode } from '../errors/app-error.ts';
import { nullWhileAway } from '../errors/while-away.ts';
import type { SenderRecord, TenantRecord } from '../record/types.ts';
import type { SenderStore, TenantStore } from './ports.ts';

export interface RegistrationOptions {
  readonly store: Pick<SenderStore, 'get'>;
  readonly tenantStore: Pick<TenantStore, 'get'>;
  readonly queue: Pick<SendQueue, 'configureSender' | 'pauseSender' | 'resumeSender' | 'pauseTenant' | 'resumeTenant'>;
}

/** Changes of one sender that overtake each other; more in a row means that two people disagree. */
const TRIES = 5;

/** What this process has told the engine: the limits of senders, their pauses, and pauses of tenants on them. */
export class SenderRegistrations {
  readonly #store: Pick<SenderStore, 'get'>;
  readonly #tenantStore: Pick<TenantStore, 'get'>;
  readonly #queue: RegistrationOptions['queue'];
  /** By sender, under way or done; one that failed is gone, so that it is tried again. */
  readonly #registered = new Map<string, Promise<void>>();
  /** Pauses of a tenant on a sender that the engine was told: sender → tenants. */
  readonly #pausedTenants = new Map<string, Set<string>>();

  constructor({ store, tenantStore, queue }: RegistrationOptions) {
    this.#store = store;
    this.#tenantStore = tenantStore;
    this.#queue = queue;
  }

  /** Makes the engine know the sender; asks it once per process and sender. */
  register(sender: SenderRecord): Promise<void> {
    const known = this.#registered.get(sender.id);
    if (known !== undefined) return known;
    const started = this.#tellSender(sender);
    this.#registered.set(sender.id, started);
    started.catch(() => {
      if (this.#registered.get(sender.id) === started) this.#registered.delete(sender.id);
    });
    return started;
  }

  /** Tells the engine of the sender although it was told before. */
  renew(sender: SenderRecord): Promise<void> {
    this.#registered.delete(sender.id);
    return this.register(sender);
  }

  /** As `renew()`, for a sender of the record: whoever tells the engine last tells it what the record says. */
  async renewAsRecorded(sender: SenderRecord): Promise<void> {
    let told: SenderRecord | null = sender;
    for (let tried = 0; tried < TRIES && told !== null; tried += 1) {
      await this.renew(told);
      told = await this.#newerThan(told);
    }
  }

  /** Makes the engine know of the pause of a tenant on the sender, if there is one; tells it once per process and pause. */
  async tellTenantPause(sender: SenderRecord, tenant: TenantRecord): Promise<void> {
    const told = this.#pausedTenants.get(sender.id);
    if (tenant.pausedReason === null) {
      told?.delete(tenant.id);
      return;
    }
    if (told?.has(tenant.id) === true) return;
    await tellPause(async () => (await this.#tenantStore.get(tenant.id))?.pausedReason ?? null, {
      pause: () => this.#queue.pauseTenant(sender.id, tenant.id),
      resume: () => this.#queue.resumeTenant(sender.id, tenant.id),
    });
    this.#pausedTenants.set(sender.id, (told ?? new Set()).add(tenant.id));
  }

  /** The engine lost what it knew of this sender: it is told again when the sender is needed next. */
  forget(sender: string): void {
    this.#registered.delete(sender);
    this.#pausedTenants.delete(sender);
  }

  async #tellSender(sender: SenderRecord): Promise<void> {
    await this.#queue.configureSender(senderLimits(sender));
    // A queue that was rebuilt knows nothing of pauses.
    await tellPause(async () => (await this.#store.get(sender.id))?.pausedReason ?? null, {
      pause: (reason) => this.#queue.pauseSender(sender.id, reason),
      resume: () => this.#queue.resumeSender(sender.id),
    });
  }

  /** The sender as the record has it, when its limits are other ones by now. */
  async #newerThan(sender: SenderRecord): Promise<SenderRecord | null> {
    const current = await nullWhileAway(this.#store.get(sender.id));
    return current === null || isDeepStrictEqual(senderLimits(current), senderLimits(sender)) ? null : current;
  }
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
