import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { ShardHealth, StreamDesk, StreamScope } from '../../engine/stream-desk.ts';
import { AppError, hasCode } from '../../errors/app-error.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import type { AdminOptions } from '../admin-options.ts';
import { audited } from '../audit/audited.ts';
import { personOf } from '../plugins/auth.ts';

export interface StreamRouteOptions {
  readonly streams: StreamDesk;
  readonly admin: AdminOptions;
  readonly record: Pick<WaxwingRecord, 'deadLetters'>;
}

const tags = ['streams'];
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
const scopeQuery = z.object(fields);
const actQuery = z.object({ ...fields, confirm });
const actBody = z.strictObject({ ...fields, confirm }).nullish();
const scopeBody = z.strictObject(fields).nullish();

const backlog = z
  .object({ waiting: count, outside: count, inFlight: count })
  .describe('`outside`: scheduled, waiting for a slow retry or for a person.');
const status = z.enum(['healthy', 'paused', 'degraded']);
const shardHealth = z.object({
  shard: count,
  status,
  queue_depth: count,
  consumers_count: count,
  pending: count,
  last_delivered_id: z.string(),
  backlog: count,
  detail: backlog,
});
const health = z.object({
  status: status.describe('`degraded`: work waits and no worker takes it, or the consumer group is missing.'),
  queue_depth: count.describe('Entries in the stream that no worker was given.'),
  consumers_count: count.describe('Workers in the consumer group.'),
  pending: count.describe('Hand-overs that a worker holds.'),
  dlq_depth: count.nullable().describe('Dead letters; null while the record is away.'),
  last_delivered_id: z.string().describe('Of the shard that was given the newest entry.'),
  backlog: count.describe('All that is accepted and not settled.'),
  shards: z.array(shardHealth),
});

type Query = z.infer<typeof actQuery>;

interface Wish extends StreamScope {
  /** As people write it: a number, or `all`. */
  readonly name: string;
  readonly confirmed: boolean;
}

/** `/admin/streams`: the hand-over streams of the send engine. */
export function streamRoutes(app: FastifyInstance, { streams, admin, record }: StreamRouteOptions): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  async function wishOf(query: Query, body?: z.infer<typeof actBody>): Promise<Wish> {
    const { shard: named = 'all', sender, confirm: word } = { ...query, ...body };
    if (named !== 'all' && named >= streams.shards) {
      throw new AppError('REQUEST_INVALID', {
        field: 'shard',
        detail: `There are the shards 0 to ${streams.shards - 1}.`,
      });
    }
    const said = String(word ?? false);
    const confirmed = said === 'true' || said === String(named);
    if (said !== 'false' && !confirmed) {
      throw new AppError('REQUEST_INVALID', {
        field: 'confirm',
        detail: `It must name what the call is for: confirm=${named}.`,
      });
    }
    const shard = named === 'all' ? undefined : named;
    const wish = { name: String(named), confirmed, sender };
    return { ...wish, shard: sender === undefined ? shard : await shardOf(sender, shard) };
  }

  async function shardOf(id: string, wanted: number | undefined): Promise<number> {
    const sender = await admin.senders.byId(id);
    if (wanted === undefined || wanted === sender.shard) return sender.shard;
    throw new AppError('REQUEST_INVALID', {
      field: 'shard',
      detail: `The sender ${id} is in the shard ${sender.shard}.`,
    });
  }

  async function touched({ shard, sender }: StreamScope) {
    if (sender !== undefined && shard !== undefined) return await streams.backlogOf(shard, sender);
    const found = await healthOf(shard);
    const sum = (name: 'waiting' | 'outside' | 'inFlight') =>
      found.reduce((total, one) => total + one.backlog[name], 0);
    return { waiting: sum('waiting'), outside: sum('outside'), inFlight: sum('inFlight') };
  }

  function healthOf(shard: number | undefined): Promise<ShardHealth[]> {
    const shards = shard === undefined ? Array.from({ length: streams.shards }, (_, one) => one) : [shard];
    return Promise.all(shards.map((one) => streams.health(one)));
  }

  /** 409 with what the call would touch, unless it was confirmed. */
  async function confirmed(wish: Wish, would: (touches: Awaited<ReturnType<typeof touched>>) => string): Promise<void> {
    if (wish.confirmed) return;
    const touches = await touched(wish);
    throw new AppError('CONFIRMATION_NEEDED', {
      detail: `This ${would(touches)}. To do it, send the same again with confirm=${wish.name}.`,
      data: { touches },
    });
  }

  async function act<T extends object>(
    request: FastifyRequest,
    name: string,
    wish: Wish,
    run: (by: string) => Promise<T>,
  ): Promise<T> {
    const by = personOf(request).name;
    const begun = {
      actor: by,
      action: `stream.${name}`,
      target: wish.sender === undefined ? `shard ${wish.name}` : `sender ${wish.sender}`,
      detail: { shard: wish.shard ?? 'all' },
    };
    return await audited({ audit: admin.record.audit, log: request.log }, begun, () => run(by));
  }

  routes.get(
    '/admin/streams/health',
    {
      config: { access: 'viewer' },
      schema: { tags, summary: 'How the hand-over streams are', querystring: scopeQuery, response: { 200: health } },
    },
    async (request) => {
      const { shard, sender } = await wishOf(request.query);
      const [found, letters, own] = await Promise.all([
        healthOf(shard),
        record.deadLetters.count({ sender }).catch((error: unknown) => {
          if (hasCode(error, 'RECORD_UNAVAILABLE')) return null;
          throw error;
        }),
        sender === undefined || shard === undefined ? undefined : streams.backlogOf(shard, sender),
      ]);
      const shards = found.map((one) => viewOf(own === undefined ? one : { ...one, backlog: own }));
      const sum = (name: 'queue_depth' | 'consumers_count' | 'pending' | 'backlog') =>
        shards.reduce((total, one) => total + one[name], 0);
      return {
        status: worstOf(shards.map((one) => one.status)),
        queue_depth: sum('queue_depth'),
        consumers_count: Math.max(0, ...shards.map((one) => one.consumers_count)),
        pending: sum('pending'),
        dlq_depth: letters,
        last_delivered_id: shards.map((one) => one.last_delivered_id).reduce(newer, '0-0'),
        backlog: sum('backlog'),
        shards,
      };
    },
  );

  routes.post(
    '/admin/streams/reset-to-latest',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Skip the backlog',
        description:
          'Everything that was accepted until now and is unsent becomes `cancelled`, the scheduled and deferred included. What is in flight, or may have been sent, stays.',
        querystring: actQuery,
        body: actBody,
        response: { 200: z.object({ shard: z.string(), cancelled: count, kept: count }) },
      },
    },
    async (request) => {
      const wish = await wishOf(request.query, request.body);
      await confirmed(wish, ({ waiting, outside }) => `cancels up to ${waiting + outside} messages that wait`);
      return { shard: wish.name, ...(await act(request, 'reset-to-latest', wish, (by) => streams.skip(wish, by))) };
    },
  );

  routes.post(
    '/admin/streams/reset-to-begin',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Try everything again that is unsettled',
        description:
          'What waits after an attempt may go at once, from the head of its conversation; so may what waits for a person, which may be sent a second time. Nothing that is settled is sent again; limits hold, and what is scheduled keeps its time.',
        querystring: actQuery,
        body: actBody,
        response: {
          200: z.object({ shard: z.string(), retries: count, deferred: count, unknown: count, kept: count }),
        },
      },
    },
    async (request) => {
      const wish = await wishOf(request.query, request.body);
      await confirmed(
        wish,
        ({ waiting, outside, inFlight }) =>
          `lets everything go at once that waits after an attempt, of ${waiting + outside + inFlight} unsettled messages; those whose outcome is unknown may be sent a second time`,
      );
      return { shard: wish.name, ...(await act(request, 'reset-to-begin', wish, (by) => streams.restart(wish, by))) };
    },
  );

  routes.delete(
    '/admin/streams/destroy-recreate',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        summary: 'Destroy stream and consumer group and build them again',
        description:
          'From what the engine knows: what no worker has begun goes back to its conversation, what is being sent stays with its worker. No accepted message is lost.',
        querystring: actQuery,
        body: actBody,
        response: { 200: z.object({ shard: z.string(), returned: count, kept: count, removed: count }) },
      },
    },
    async (request) => {
      const wish = await wishOf(request.query, request.body);
      if (wish.sender !== undefined) {
        throw new AppError('REQUEST_INVALID', {
          field: 'sender',
          detail: 'A stream belongs to a shard: leave out sender.',
        });
      }
      await confirmed(
        wish,
        ({ inFlight }) =>
          `destroys the stream and its group and builds them again; ${inFlight} messages are with workers and stay`,
      );
      return { shard: wish.name, ...(await act(request, 'destroy-recreate', wish, () => streams.regroup(wish))) };
    },
  );

  routes.post(
    '/admin/streams/claim-pending-to-worker',
    {
      config: { access: 'operator' },
      schema: {
        tags,
        summary: 'Take over what dead workers hold',
        description:
          'As workers do by themselves within seconds. Takes as long as it needs to see that a heart stands still; what had begun becomes `unknown` first, so it is not sent twice for nothing.',
        querystring: scopeQuery,
        body: scopeBody,
        response: {
          200: z.object({ shard: z.string(), claimed: count, removed: count, workers: z.array(z.string()) }),
        },
      },
    },
    async (request) => {
      const wish = await wishOf(request.query, request.body);
      const { claimed, removed, workers } = await act(request, 'claim', wish, () => streams.claim(wish));
      return { shard: wish.name, claimed, removed, workers: [...workers] };
    },
  );
}

function viewOf(one: ShardHealth): z.infer<typeof shardHealth> {
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

function statusOf({
  isPaused,
  hasGroup,
  backlog: { waiting, inFlight },
  workers,
}: ShardHealth): z.infer<typeof status> {
  if (waiting + inFlight > 0 && (workers === 0 || !hasGroup)) return 'degraded';
  return isPaused ? 'paused' : 'healthy';
}

function worstOf(all: readonly z.infer<typeof status>[]): z.infer<typeof status> {
  if (all.includes('degraded')) return 'degraded';
  return all.includes('paused') ? 'paused' : 'healthy';
}

function newer(one: string, other: string): string {
  const [oneMs = 0, oneN = 0] = one.split('-').map(Number);
  const [otherMs = 0, otherN = 0] = other.split('-').map(Number);
  return oneMs > otherMs || (oneMs === otherMs && oneN >= otherN) ? one : other;
}
