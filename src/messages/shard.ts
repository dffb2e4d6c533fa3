import { createHash } from 'node:crypto';
import type { SenderRecord } from '../record/types.ts';

/** The sender that comes from the settings. It is in shard 0, which exists whatever SHARDS is. */
export const DEFAULT_SENDER = 'default';

/**
 * The shard of a new sender. A tenant's senders share one shard, so that one script sees all of them; a shared
 * sender goes by its own id. Chosen once: `SHARDS` may grow later without moving anything.
 */
export function chooseShard(
  sender: { readonly id: string; readonly tenant: string | null },
  sibling: Pick<SenderRecord, 'shard'> | null,
  shards: number,
): number {
  if (sender.id === DEFAULT_SENDER) return 0;
  if (sibling !== null) return sibling.shard;
  const name = sender.tenant === null ? `sender:${sender.id}` : `tenant:${sender.tenant}`;
  return createHash('sha256').update(name).digest().readUInt32BE(0) % shards;
}
