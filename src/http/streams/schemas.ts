import { z } from 'zod';

const count = z.int().min(0);
const fields = {
  shard: z
    .union([z.literal('all'), z.coerce.number().int().min(0)], 'It must be a shard number, or all.')
    .optional()
    .describe('A shard number; `all` (default).'),
  sender: z.string().min(1).max(128).optional().describe('Only what goes through this sender.'),
};
const confirm = z
  .union([z.string().max(20), z.int(), z.boolean()], 'It must say the same as shard, or true.')
  .optional()
  .describe(
    'The same as `shard`, or `true`, to say that this is meant; without it the answer is 409 and tells what it would do.',
  );
export const scopeQuery = z.object(fields);
export const scopeBody = z.strictObject(fields).nullish();
export const actQuery = z.object({ ...fields, confirm });
export const actBody = z.strictObject({ ...fields, confirm }).nullish();

const backlog = z
  .object({ waiting: count, outside: count, inFlight: count })
  .describe('`outside`: scheduled, waiting for a slow retry or for a person.');
export const statusSchema = z.enum(['healthy', 'paused', 'degraded']);
export const shardHealthSchema = z.object({
  shard: count,
  status: statusSchema,
  queue_depth: count,
  consumers_count: count,
  pending: count,
  last_delivered_id: z.string(),
  backlog: count,
  detail: backlog,
});
export const healthSchema = z.object({
  status: statusSchema.describe('`degraded`: work waits and no worker takes it, or the consumer group is missing.'),
  queue_depth: count.describe('Entries in the stream that no worker was given.'),
  consumers_count: count.describe('Workers in the consumer group that beat within the last seconds.'),
  pending: count.describe('Hand-overs that a worker holds.'),
  dlq_depth: count.nullable().describe('Dead letters; null while the record is away.'),
  last_delivered_id: z.string().describe('Of the shard that was given the newest entry.'),
  backlog: count.describe('All that is accepted and not settled.'),
  shards: z.array(shardHealthSchema),
});

export const skipped = z.object({ shard: z.string(), cancelled: count, kept: count });
export const restarted = z.object({
  shard: z.string(),
  retries: count,
  deferred: count,
  unknown: count,
  kept: count,
});
export const regrouped = z.object({ shard: z.string(), returned: count, kept: count, removed: count });
export const claimed = z.object({ shard: z.string(), claimed: count, removed: count, workers: z.array(z.string()) });
