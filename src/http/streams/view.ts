import type { z } from 'zod';
import type { ShardHealth } from '../../engine/stream-desk.ts';
import type { healthSchema, shardHealthSchema, statusSchema } from './schemas.ts';

type Status = z.infer<typeof statusSchema>;

/**
 * Sums of all these shards, the worst of their states, and each by itself.
 * @param deadLetters null = the record is away
 */
export function healthView(found: readonly ShardHealth[], deadLetters: number | null): z.infer<typeof healthSchema> {
  const shards = found.map(shardView);
  const sum = (name: 'queue_depth' | 'consumers_count' | 'pending' | 'backlog') =>
    shards.reduce((total, one) => total + one[name], 0);
  return {
    status: worstOf(shards.map((one) => one.status)),
    queue_depth: sum('queue_depth'),
    consumers_count: Math.max(0, ...shards.map((one) => one.consumers_count)),
    pending: sum('pending'),
    dlq_depth: deadLetters,
    last_delivered_id: shards.map((one) => one.last_delivered_id).reduce(newer, '0-0'),
    backlog: sum('backlog'),
    shards,
  };
}

function shardView(one: ShardHealth): z.infer<typeof shardHealthSchema> {
  const { waiting, outside, inFlight } = one.backlog;
  return {
    shard: one.shard,
    status: statusOf(one),
    queue_depth: one.queueDepth,
    consumers_count: one.consumers,
    pending: one.pending,
    last_delivered_id: one.lastDeliveredId,
    backlog: waiting + outside + inFlight,
    detail: one.backlog,
  };
}

function statusOf({ isPaused, hasGroup, backlog: { waiting, inFlight }, workers }: ShardHealth): Status {
  if (waiting + inFlight > 0 && (workers === 0 || !hasGroup)) return 'degraded';
  return isPaused ? 'paused' : 'healthy';
}

function worstOf(all: readonly Status[]): Status {
  if (all.includes('degraded')) return 'degraded';
  return all.includes('paused') ? 'paused' : 'healthy';
}

function newer(one: string, other: string): string {
  const [oneMs = 0, oneN = 0] = one.split('-').map(Number);
  const [otherMs = 0, otherN = 0] = other.split('-').map(Number);
  return oneMs > otherMs || (oneMs === otherMs && oneN >= otherN) ? one : other;
}
