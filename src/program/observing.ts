import type { Config } from '../config/index.ts';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue, SendQueueOptions } from '../engine/queue.ts';
import { Metrics, queueSource, recordSource, redisSource, senderDirectory, SendMetrics } from '../observe/index.ts';
import type { NamedRedis } from '../observe/index.ts';
import type { RecorderOptions, WaxwingRecord } from '../record/index.ts';
import type { Recorders } from './recorders.ts';

/** The figures of this process, and the hooks by which its parts tell them. */
export interface Observing {
  /** Other parts of the program register their `MetricSource` here. */
  readonly metrics: Metrics;
  /** Redis servers whose memory, clients and evictions are shown; parts add theirs. */
  readonly redisServers: NamedRedis[];
  readonly ofQueue: Pick<SendQueueOptions, 'onAccept'>;
  readonly ofRecorder: Pick<RecorderOptions, 'onBatch'>;
  readonly onSettled: (request: SettleRequest) => void;
  /** Adds what queue and record know, once they are open. */
  watch(parts: { readonly queue: RedisSendQueue; readonly record: WaxwingRecord; readonly recorders: Recorders }): void;
}

export function createObserving(config: Config): Observing {
  const metrics = new Metrics();
  const sending = new SendMetrics(metrics.registry, { tenantsMax: config.metricsTenantsMax });
  const redisServers: NamedRedis[] = [];
  return {
    metrics,
    redisServers,
    ofQueue: { onAccept: (message, result) => sending.accepted(message, result) },
    ofRecorder: {
      onBatch: ({ deliveries }) => {
        for (const change of deliveries) sending.delivered(change, change.status);
      },
    },
    onSettled: (request) => sending.settled(request),
    watch({ queue, record, recorders }) {
      const { client } = queue.runner;
      redisServers.push({ name: 'queue', client });
      metrics.register(redisSource(() => redisServers));
      metrics.register(
        queueSource({
          client,
          shards: queue.shards,
          senders: senderDirectory({
            known: () => queue.knownSenders,
            recorded: async () => await record.senders.shards(),
          }),
        }),
      );
      metrics.register(recordSource({ record, recorders: () => recorders.list }));
    },
  };
}
