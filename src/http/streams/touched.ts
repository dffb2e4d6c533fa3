import type { Backlog, ShardHealth, StreamDesk, StreamScope } from '../../engine/stream-desk.ts';

/** @param shard undefined = all */
export function healthOf(streams: StreamDesk, shard: number | undefined): Promise<ShardHealth[]> {
  const shards = shard === undefined ? Array.from({ length: streams.shards }, (_, one) => one) : [shard];
  return Promise.all(shards.map((one) => streams.health(one)));
}

/** The messages that an act on this scope could touch. */
export async function touched(streams: StreamDesk, { shard, sender }: StreamScope): Promise<Backlog> {
  if (sender !== undefined && shard !== undefined) return await streams.backlogOf(shard, sender);
  const found = await healthOf(streams, shard);
  const sum = (name: 'waiting' | 'outside' | 'inFlight') => found.reduce((total, one) => total + one.backlog[name], 0);
  return { waiting: sum('waiting'), outside: sum('outside'), inFlight: sum('inFlight') };
}
