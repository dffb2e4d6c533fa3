/** Every sender's id and its shard. */
export type SenderDirectory = () => Promise<ReadonlyMap<string, number>>;

const FRESH_MS = 15_000;

/**
 * The senders that this process knows, and those of the record, read four times a minute at most; with the record away
 * those that were known before.
 */
export function senderDirectory(options: {
  readonly known: () => ReadonlyMap<string, number>;
  readonly recorded: () => Promise<readonly { readonly id: string; readonly shard: number }[]>;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}): SenderDirectory {
  const now = options.now ?? (() => performance.now());
  let recorded: readonly { readonly id: string; readonly shard: number }[] = [];
  let readAtMs = Number.NEGATIVE_INFINITY;
  return async () => {
    if (now() - readAtMs >= FRESH_MS) {
      readAtMs = now();
      recorded = await options.recorded().catch(() => recorded);
    }
    return new Map([...recorded.map(({ id, shard }) => [id, shard] as const), ...options.known()]);
  };
}
