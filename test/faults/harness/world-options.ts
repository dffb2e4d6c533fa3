import type { SenderLimits } from '../../../src/engine/contract.ts';
import type { TestClusterOptions } from '../../support/many-redis.ts';
import type { ProviderPlan, WorkerProgram } from './protocol.ts';
import type { LinkProxy } from '../../support/link-proxy.ts';
import type { FaultRedisOptions } from './redis.ts';

export interface WorldOptions {
  /** Started at once. Default 2. */
  readonly workers?: number;
  readonly slots?: number;
  /** Limits of every sender. */
  readonly limits?: Partial<Omit<SenderLimits, 'sender' | 'shard'>>;
  /** Default `s1`. Each has the phone number id `p-<id>`. */
  readonly senders?: readonly string[];
  readonly tenantConcurrency?: number;
  readonly engine?: Partial<WorkerProgram['engine']>;
  readonly policy?: Partial<WorkerProgram['policy']>;
  readonly plan?: Partial<Omit<ProviderPlan, 'seed'>>;
  readonly redis?: FaultRedisOptions;
  /** The queue is on a cluster, 16 shards; senders are spread over them in turn. */
  readonly cluster?: TestClusterOptions;
  /** The queue's Redis has a replica; everybody else goes through `world.pair.front`. */
  readonly hasReplica?: boolean;
  readonly durability?: 'disk' | 'replica';
  /** Addresses of senders that are not the fake provider's. */
  readonly apiUrls?: Readonly<Record<string, string>>;
  /** This sender speaks TLS to the fake provider, which does not. */
  readonly tlsSender?: string;
  /** A recorder takes the engine's events away: the checker does without. */
  readonly isRecorded?: boolean;
  readonly poison?: WorkerProgram['poison'];
  /** May the provider end workers (`take-kill`). */
  readonly killsWorkers?: boolean;
  /** The accepting side reaches Redis through `world.queueLink`. */
  readonly proxiesQueue?: boolean;
}

export interface WorkerOptions {
  readonly via?: LinkProxy;
  readonly slots?: number;
  /** Workers in the one process. Default 1. */
  readonly count?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  readonly onAmbiguous?: WorkerProgram['engine']['onAmbiguous'];
}

export const TAG_KEY = Buffer.alloc(32, 7);
export const LIMITS: Omit<SenderLimits, 'sender' | 'shard'> = {
  ratePerSecond: 150,
  burst: 1,
  concurrency: 20,
  pairGapMs: 40,
  pairBucketCapacity: 0,
  pairBucketRefillPerSecond: 0,
};
export const ENGINE: WorkerProgram['engine'] = {
  // Short, so that a test sees the end of what takes half a minute in production.
  sendTimeoutMs: 2000,
  ambiguousWaitMs: 3000,
  onAmbiguous: 'reconcile',
};
export const POLICY: WorkerProgram['policy'] = {
  attemptsMax: 3,
  backoffMs: 100,
  scheduleSeconds: [1, 1, 1],
  deferBlocks: true,
  breakerThreshold: 5,
  // Short, as all waits of these tests: an outage's end is noticed within half a second.
  breakerOpenMs: 500,
};
/** The engine's startByMs and the worker's firstByteByMs. */
export const START_BY_MS = 100 + 250;
