import type { Counters } from './contract.ts';

/** The counters of the whole queue. @param shards each one's hash `n` */
export function addUpCounters(shards: readonly Readonly<Record<string, string>>[]): Counters {
  const of = (name: keyof Counters) => shards.reduce((sum, counters) => sum + Number(counters[name] ?? 0), 0);
  return {
    accepted: of('accepted'),
    queued: of('queued'),
    scheduled: of('scheduled'),
    deferred: of('deferred'),
    inFlight: of('inFlight'),
    unknown: of('unknown'),
    held: of('held'),
    sent: of('sent'),
    failed: of('failed'),
    cancelled: of('cancelled'),
    expired: of('expired'),
  };
}
