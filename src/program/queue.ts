import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import { type RedisTarget, whenReady } from '../engine/connection.ts';
import type { EngineOptions } from '../engine/options.ts';
import { RedisSendQueue, type SendQueueOptions } from '../engine/queue.ts';
import { checkQueueSafety } from '../engine/safety.ts';
import type { DataServices } from './data-services.ts';
import { StartError } from './start-error.ts';

/** The engine's times and sizes, from the settings that name them. */
export function engineOptions(config: Config): Partial<EngineOptions> {
  return {
    sendTimeoutMs: config.providerTimeoutMs,
    ambiguousWaitMs: config.ambiguousWaitMs,
    onAmbiguous: config.onAmbiguous,
    takeMax: config.waStreamReadCount,
    claimIdleMs: config.waStreamClaimIdleMs,
  };
}

/** What a person hears of a queue that does not answer. Without user and password. */
export function unreachableQueue({ url, clusterNodes, sentinels }: RedisTarget): string {
  const nodes = clusterNodes ?? sentinels;
  const where = nodes === undefined ? new URL(url).host : nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  return `The queue Redis at ${where} does not answer: see that it runs, and that its address and password are right.`;
}

/**
 * Opens the queue.
 * @throws StartError for a Redis that does not answer, or would not keep what is accepted
 */
export async function openQueue(
  config: Config,
  { redis, queueDisk }: Pick<DataServices, 'redis' | 'queueDisk'>,
  log: Logger,
  watching: Pick<SendQueueOptions, 'onAccept'> = {},
  connectMsMax = 10_000,
): Promise<RedisSendQueue> {
  const queue = new RedisSendQueue({
    redis,
    shards: config.shards,
    durability: config.acceptDurability,
    ...engineOptions(config),
    ...watching,
    ...(queueDisk === undefined ? {} : { isDiskFull: queueDisk.isFull }),
  });
  try {
    if (!(await whenReady(queue.runner.client, connectMsMax))) throw new StartError(unreachableQueue(redis));
    await queue.connect();
    await assertSafe(queue, config, log);
    return queue;
  } catch (error) {
    queue.close();
    throw error;
  }
}

async function assertSafe(queue: RedisSendQueue, config: Config, log: Logger): Promise<void> {
  const { problems, warnings } = await checkQueueSafety(queue.runner.client, config.acceptDurability);
  for (const warning of warnings) log.warn(warning);
  if (config.acceptDurability === 'memory') {
    // Said also of a Redis that keeps everything: nobody is refused when that ends.
    if (problems.length === 0) log.info('ACCEPT_DURABILITY=memory: a 2xx promises no disk, though this Redis keeps it');
    else log.warn('ACCEPT_DURABILITY=memory: accepted messages are lost when Redis or its machine stops');
    return;
  }
  if (problems.length === 0) return;
  if (config.dangerouslyAllowVolatileQueue) {
    for (const problem of problems) log.warn(`DANGEROUSLY_ALLOW_VOLATILE_QUEUE: ${problem}`);
    return;
  }
  const lines = problems.map((problem) => `  ${problem}`);
  const advice =
    'Correct this Redis, or set DANGEROUSLY_ALLOW_VOLATILE_QUEUE=true and accept that messages can be lost.';
  throw new StartError(['The queue Redis does not keep what it accepts:', ...lines, advice].join('\n'));
}
