export interface MicroBatcherOptions<T, R> {
  /** Groups of one call at most; 1 … 1,000. WHATSAPP_QUEUE_BATCH_SIZE. */
  readonly sizeMax: number;
  /** Longest wait for others, ms. WHATSAPP_QUEUE_INTERVAL. */
  readonly intervalMs: number;
  /** Groups that can be on their way at once: when all of them are here, waiting for more is in vain. */
  readonly parallelMax: number;
  /** Items of one job belong together and count as one; default: each is a group of its own. */
  readonly groupOf?: (item: T) => string;
  /** Does the work of many in one go. One result per item, in order; an Error fails that item alone. */
  readonly run: (items: readonly T[]) => Promise<readonly (R | Error)[]>;
  /** Monotonic clock, ms. */
  readonly now?: () => number;
}

/** Joins the work of parallel jobs, so that many rows cost one statement. */
export interface MicroBatcher<T, R> {
  /** Resolves or rejects with this item's own result. When the call as a whole fails, with its error. */
  add(item: T): Promise<R>;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One call at a time; what comes meanwhile goes into the next one. A single item after a quiet time goes at once: the
 * interval is waited only while others are likely to come, so that joining costs an idle system no latency.
 */
export function createMicroBatcher<T, R>(options: MicroBatcherOptions<T, R>): MicroBatcher<T, R> {
  const { sizeMax, intervalMs, run, groupOf } = options;
  const now = options.now ?? (() => performance.now());
  const full = Math.max(1, Math.min(sizeMax, options.parallelMax));
  let waiting: Waiting<T, R>[] = [];
  let isRunning = false;
  let lastEndMs = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let look: NodeJS.Immediate | undefined;

  function consider(): void {
    look = undefined;
    if (isRunning || waiting.length === 0) return;
    const isQuiet = now() - lastEndMs >= intervalMs;
    if (isQuiet || take(full).isFull) start();
    else timer ??= setTimeout(start, intervalMs);
  }

  /** The items of the first groups that wait, in order. */
  function take(groupsMax: number): { readonly batch: Waiting<T, R>[]; readonly isFull: boolean } {
    if (groupOf === undefined) return { batch: waiting.slice(0, groupsMax), isFull: waiting.length >= groupsMax };
    const groups = new Set<string>();
    const batch: Waiting<T, R>[] = [];
    for (const one of waiting) {
      const group = groupOf(one.item);
      if (groups.size === groupsMax && !groups.has(group)) continue;
      groups.add(group);
      batch.push(one);
    }
    return { batch, isFull: groups.size >= groupsMax };
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    if (isRunning) return;
    const { batch } = take(sizeMax);
    const taken = new Set(batch);
    waiting = waiting.filter((one) => !taken.has(one));
    isRunning = true;
    void flush(batch).then(() => {
      isRunning = false;
      lastEndMs = now();
      // A turn later: the jobs that ended make room for the next ones, and items of one job come together.
      look ??= setImmediate(consider);
    });
  }

  async function flush(batch: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await run(batch.map(({ item }) => item));
      for (const [index, { resolve, reject }] of batch.entries()) {
        const result = results[index];
        if (result instanceof Error) reject(result);
        else resolve(result as R);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  return {
    add: (item) =>
      new Promise<R>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        look ??= setImmediate(consider);
      }),
  };
}
