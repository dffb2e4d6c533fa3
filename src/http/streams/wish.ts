import type { z } from 'zod';
import type { StreamDesk, StreamScope } from '../../engine/stream-desk.ts';
import { AppError } from '../../errors/app-error.ts';
import type { Senders } from '../../messages/index.ts';
import type { actBody, actQuery } from './schemas.ts';

/** What a call of `/admin/streams` is for, and whether it says that it is meant. */
export interface Wish extends StreamScope {
  /** As people write it: a number, or `all`. */
  readonly name: string;
  readonly confirmed: boolean;
}

export interface WishOptions {
  readonly streams: Pick<StreamDesk, 'shards'>;
  readonly admin: { readonly senders: Pick<Senders, 'byId'> };
}

/**
 * Reads a wish from query and body; the body counts where both name the same.
 * @throws AppError `REQUEST_INVALID` for a shard that there is not, another than the sender's, or a confirmation of
 *   something else
 */
export async function wishOf(
  { streams, admin }: WishOptions,
  query: z.infer<typeof actQuery>,
  body?: z.infer<typeof actBody>,
): Promise<Wish> {
  const { shard: named = 'all', sender, confirm: word } = { ...query, ...body };
  if (named !== 'all' && named >= streams.shards) {
    const detail = streams.shards === 1 ? 'There is one shard: 0.' : `There are the shards 0 to ${streams.shards - 1}.`;
    throw new AppError('REQUEST_INVALID', { field: 'shard', detail });
  }
  const said = String(word ?? false);
  const confirmed = said === 'true' || said === String(named);
  if (said !== 'false' && !confirmed) {
    const detail = `It must name what the call is for: confirm=${named}.`;
    throw new AppError('REQUEST_INVALID', { field: 'confirm', detail });
  }
  const shard = named === 'all' ? undefined : named;
  const wish = { name: String(named), confirmed, sender };
  return { ...wish, shard: sender === undefined ? shard : await shardOf(admin.senders, sender, shard) };
}

async function shardOf(senders: Pick<Senders, 'byId'>, id: string, wanted: number | undefined): Promise<number> {
  const { shard } = await senders.byId(id);
  if (wanted === undefined || wanted === shard) return shard;
  throw new AppError('REQUEST_INVALID', { field: 'shard', detail: `The sender ${id} is in the shard ${shard}.` });
}
