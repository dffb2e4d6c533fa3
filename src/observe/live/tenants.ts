import type { QueueState } from '../sources/queue-state.ts';
import type { LiveTenant } from './types.ts';

/** Every tenant that has messages on a sender, over all senders. */
export function tenantsOf(states: readonly QueueState[]): Map<string, LiveTenant> {
  const found = new Map<string, { -readonly [K in keyof LiveTenant]: LiveTenant[K] }>();
  for (const sender of states.flatMap(({ senders }) => senders)) {
    for (const one of sender.tenants) {
      let tenant = found.get(one.id);
      if (tenant === undefined) {
        tenant = { id: one.id, waiting: 0, parked: 0, inFlight: 0, concurrency: 0, isPaused: false };
        found.set(one.id, tenant);
      }
      tenant.waiting += Math.max(0, one.backlog - one.inFlight);
      tenant.parked += one.parked;
      tenant.inFlight += one.inFlight;
      tenant.concurrency += one.concurrency;
      tenant.isPaused ||= one.isPaused;
    }
  }
  return found;
}

export function byLoad(a: LiveTenant, b: LiveTenant): number {
  return b.waiting - a.waiting || b.inFlight - a.inFlight || b.parked - a.parked || (a.id < b.id ? -1 : 1);
}
