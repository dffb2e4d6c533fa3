import type { TagKey } from '../providers/tag.ts';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisTarget } from '../engine/connection.ts';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { SettleResult } from '../engine/exchanges.ts';
import type { SenderAccount } from '../providers/contract.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ReadAccount } from '../worker/accounts.ts';
import type { RetryPolicy } from '../worker/policy.ts';
import { SendWorker } from '../worker/send-worker.ts';
import { logBroken } from './broken-attempts.ts';
import type { ProgramCaches } from './caches.ts';
import { closeProviders, createProviders } from './providers.ts';
import { watchConnections } from './connections.ts';
import { engineOptions } from './queue.ts';
import { followAccounts } from './sender-accounts.ts';
import { readWindowOf } from './windows.ts';
import { WorkerSummary } from './worker-summary.ts';

export interface RunningWorker {
  readonly worker: SendWorker;
  readonly name: string;
  stop(graceMs: number): Promise<void>;
}

export interface WorkerParts {
  readonly config: Config;
  readonly redis: RedisTarget;
  readonly record: WaxwingRecord;
  readonly readAccount: ReadAccount;
  readonly tagKey: TagKey;
  readonly log: Logger;
  readonly queue: RedisSendQueue;
  /** Figures: told of every settlement that counted. Must not throw. */
  readonly onSettled: (request: SettleRequest) => void;
  readonly caches: ProgramCaches;
}

export async function startWorker(parts: WorkerParts): Promise<RunningWorker> {
  const { config, redis, record, readAccount, tagKey, log } = parts;
  const summary = new WorkerSummary(parts.queue, log);
  const name = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
  const providers = createProviders(config);
  const connections = watchConnections({
    queue: parts.queue,
    record,
    evolution: providers.evolution,
    readAccount,
    log,
  });
  let stopping: Promise<void> | undefined;
  let isConnected = true;
  const worker: SendWorker = new SendWorker({
    redis,
    shards: config.shards,
    worker: name,
    slots: config.workerConcurrency,
    globalRatePerSecond: config.globalRatePerSecond,
    globalConcurrency: config.globalConcurrency,
    blockMs: config.waStreamBlockMs,
    ...engineOptions(config),
    providers,
    policyFor: (account) => policyOf(config, account),
    readAccount,
    tagKey,
    readWindow: readWindowOf(config, record),
    onSettled: (request, result) => {
      summary.count(request);
      connections.settled(request);
      // One that had to be told again was an attempt like the others.
      if (result === 'settled' || result === 'repeated') parts.onSettled(request);
      logSettled(log, request, result);
    },
    breaker: { threshold: config.circuitBreakerThreshold, openMs: config.circuitBreakerTimeout },
    onBroken: logBroken(log),
    onCircuit: (sender, openMs, reason) => {
      log.warn({ sender, openMs, reason }, 'circuit opened: nothing is sent for this sender until a probe succeeds');
    },
    onConnection: (connected) => {
      if (stopping !== undefined) return;
      // Every try to come back is told; once is enough.
      if (connected === isConnected) return;
      isConnected = connected;
      if (connected) log.debug('queue connected');
      else log.warn('queue connection lost');
    },
  });
  const unfollow = followAccounts((id) => worker.expireAccount(id), parts.caches);
  const stop = async (graceMs: number) => {
    unfollow();
    summary.stop();
    connections.stop();
    await worker.stop(graceMs);
    await closeProviders(providers);
  };
  await worker.start();
  return {
    worker,
    name,
    stop: (graceMs) => (stopping ??= stop(graceMs)),
  };
}

function policyOf(config: Config, { provider }: SenderAccount): RetryPolicy {
  return {
    attemptsMax: provider === 'evolution' ? config.waMaxDeliveries : config.queueRetryAttempts,
    backoffMs: config.queueBackoffDelay,
    scheduleSeconds: config.retryScheduleSeconds,
    deferBlocks: config.onDefer === 'block',
  };
}

function logSettled(log: Logger, { grant, settlement, report }: SettleRequest, result: SettleResult): void {
  const line = {
    messageId: grant.messageId,
    tenant: grant.lane.tenant,
    sender: grant.lane.sender,
    attempt: grant.attempt,
    outcome: settlement.kind,
    ...(report?.error === undefined ? {} : { code: report.error.code, providerCode: report.error.providerCode }),
  };
  if (result === 'stale') log.warn(line, 'attempt settled too late: another worker had taken over');
  else if (settlement.kind === 'failed') log.warn(line, 'message failed');
  else log.debug(line, 'attempt settled');
}
