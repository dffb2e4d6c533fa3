import { createHash } from 'node:crypto';
import type { TenantRecord } from '../record/types.ts';

export interface QueueSwitchOptions {
  /** WHATSAPP_SEND_QUEUE_ENABLED: false = nobody uses the queue. */
  readonly enabled: boolean;
  /** WHATSAPP_SEND_QUEUE_PERCENT: share of the tenants without a switch of their own that do, 0 … 100. */
  readonly percent: number;
}

/** Does this tenant send through the queue. */
export type QueueSwitch = (tenant: Pick<TenantRecord, 'id' | 'queueEnabled'>) => boolean;

export function createQueueSwitch({ enabled, percent }: QueueSwitchOptions): QueueSwitch {
  return ({ id, queueEnabled }) => enabled && (queueEnabled ?? percentileOf(id) < percent);
}

/**
 * A tenant's place among all, 0 … 99.99, the same in every process and for ever: who is in at 10 % stays in at 20 %.
 */
export function percentileOf(tenant: string): number {
  const hash = createHash('sha256').update(`waxwing queue rollout ${tenant}`).digest();
  return (hash.readUInt32BE(0) % 10_000) / 100;
}
