import { shardPrefix } from '../engine/keys.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { ScriptRunner } from '../engine/script-runner.ts';
import type { QueueDisk } from '../observe/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Progress } from './progress.ts';
import type { RunningWorker } from './worker.ts';

/** What `/ready` asks, by name; each rejects with what is wrong. */
export type ReadyChecks = Readonly<Record<string, () => Promise<void>>>;

/** @param working the worker and its progress; null where none runs */
export function readyChecksOf(
  queue: RedisSendQueue,
  record: WaxwingRecord,
  queueDisk: QueueDisk | undefined,
  working: { readonly worker: RunningWorker; readonly progress: Progress } | null,
): ReadyChecks {
  return {
    queue: queueCheck(queue),
    record: () => record.ping(),
    ...(queueDisk === undefined ? {} : { disk: queueDisk.check }),
    ...(working === null ? {} : { worker: workerCheck(queue, working.worker, working.progress) }),
  };
}

/** A script ran on every shard: more than PING, because a queue that cannot write cannot accept. */
function queueCheck(queue: RedisSendQueue): () => Promise<void> {
  const runner = new ScriptRunner(queue.runner.client);
  return async () => {
    for (let shard = 0; shard < queue.shards; shard += 1) await runner.run('tick', shard, [0, 0]);
  };
}

function workerCheck(queue: RedisSendQueue, { name }: RunningWorker, progress: Progress): () => Promise<void> {
  return async () => {
    for (let shard = 0; shard < queue.shards; shard += 1) {
      const beat = await queue.runner.client.hget(`${shardPrefix(shard)}hb`, name);
      if (beat === null) throw new Error(`the worker is not registered in shard ${shard}`);
    }
    progress.check();
  };
}
