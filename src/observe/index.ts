export { Metrics, type MetricsOptions, type Snapshot } from './metrics/metrics.ts';
export { SendMetrics } from './metrics/send-metrics.ts';
export { queueSource } from './sources/queue.ts';
export { recordSource } from './sources/record.ts';
export { type NamedRedis, redisSource } from './sources/redis.ts';
export { senderDirectory } from './sources/sender-directory.ts';
