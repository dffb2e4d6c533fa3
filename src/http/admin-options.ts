import type { FastifyRequest } from 'fastify';
import type { SendQueue } from '../engine/contract.ts';
import type { QueueSwitch, SenderDefaults, Senders, Tenants } from '../messages/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { SenderProvider } from '../record/types.ts';
import { personOf } from './plugins/auth.ts';

/** What the administration routes work with. */
export interface AdminOptions {
  readonly record: Pick<
    WaxwingRecord,
    'tenants' | 'senders' | 'apiKeys' | 'audit' | 'people' | 'sessions' | 'signInAttempts'
  >;
  readonly queue: SendQueue;
  /** The accept path's memory: changes of this process count there at once. */
  readonly tenants: Tenants;
  readonly senders: Senders;
  /** What is wrong with an address for a tenant's events, as a sentence; null = nothing. */
  readonly eventsUrlFault: (url: string) => string | null;
  /** Does the short form send a tenant's messages through the queue. */
  readonly isOnQueue: QueueSwitch;
  readonly senderDefaults: (provider: SenderProvider) => SenderDefaults;
}

/** Writes down who did what. `detail` names fields, never secrets. */
export async function audit(
  { record }: AdminOptions,
  request: FastifyRequest,
  act: {
    readonly action: string;
    readonly target: string;
    readonly tenant?: string | null;
    readonly detail?: Record<string, unknown>;
  },
): Promise<void> {
  await record.audit.add({ actor: personOf(request).name, ...act });
}
