import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import {
  createQueueSwitch,
  createShortSend,
  createThrottled,
  DirectPause,
  EVICTED,
  type Messages,
  type QueueSwitch,
  type Senders,
  type ShortSend,
  type ThrottledSender,
} from '../messages/index.ts';
import type { MessageEvent } from '../model/events.ts';
import type { TagKey } from '../providers/tag.ts';
import type { WaxwingRecord } from '../record/index.ts';
import { Accounts, type ReadAccount } from '../worker/accounts.ts';
import { DirectSender } from '../worker/direct-sender.ts';
import { logBroken } from './broken-attempts.ts';
import type { ProgramCaches } from './caches.ts';
import { createDirectRecorder } from './direct-recorder.ts';
import { closeProviders, createProviders } from './providers.ts';
import { followAccounts } from './sender-accounts.ts';
import { readWindowOf } from './windows.ts';

export interface ShortSending {
  readonly shortSend: ShortSend;
  readonly throttled: ThrottledSender;
  /** Finishes direct sends that are in flight and writes what is left to be recorded. Safe to call twice. */
  stop(graceMs: number): Promise<void>;
}

interface Parts {
  readonly config: Config;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly messages: Messages;
  readonly senders: Pick<Senders, 'knowing'>;
  readonly caches: Pick<ProgramCaches, 'evictions'>;
  readonly readAccount: ReadAccount;
  readonly tagKey: TagKey;
  readonly log: Logger;
}

/** A caller of the short form waits this long for a direct send; below the half minute after which most give up. */
const DIRECT_PATIENCE_MS = 20_000;

/** The short form of sending: the queue, and the way past it. Its connections open with the first direct send. */
export function openShortSending(parts: Parts): ShortSending {
  const { config, queue, record, messages, readAccount, tagKey, log } = parts;
  const providers = createProviders(config);
  const recorder = createDirectRecorder(record.direct, log);
  const directSender = new DirectSender({
    worker: `direct-${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`,
    provider: ({ provider }) => providers[provider],
    policy: { attemptsMax: config.queueRetryAttempts, backoffMs: config.queueBackoffDelay },
    tagKey,
    breaker: { threshold: config.circuitBreakerThreshold, openMs: config.circuitBreakerTimeout },
    readWindow: readWindowOf(config, record),
    patienceMs: DIRECT_PATIENCE_MS,
    onConcluded: (events: readonly MessageEvent[]) => recorder.add(events),
    onBroken: logBroken(log),
    onPaused: (sender, reason) => {
      log.warn({ sender, reason }, 'the provider refuses the sender: it is paused until a person resumes it');
      pause.hold(sender, reason);
    },
  });
  const pause = new DirectPause({
    queue,
    knowing: (call) => parts.senders.knowing(call),
    onResumed: (sender) => directSender.resume(sender),
  });
  const accounts = new Accounts(readAccount);
  const follows = [
    followResumes(queue, pause, parts.caches),
    followAccounts((id) => accounts.expire(id), parts.caches),
  ];
  let toldAtMs = Number.NEGATIVE_INFINITY;
  const shortSend = createShortSend({
    messages,
    queue,
    isOnQueue: queueSwitchOf(config),
    fallback: config.whatsappSendFallback,
    directSender,
    pauseReason: (sender) => pause.reason(sender),
    readAccount: (id) => accounts.get(id),
    keys: record.direct,
    onDuplicateContent: (first) => logDuplicate(log, first),
    onFallback: (tenant) => {
      if (performance.now() - toldAtMs < 10_000) return;
      toldAtMs = performance.now();
      log.warn({ tenant }, 'the queue cannot be reached: the short form sends directly until it is back');
    },
  });
  const throttled = createThrottled({ shortSend, queue, countFailures: () => record.failures.counts() });
  const stop = async (graceMs: number): Promise<void> => {
    for (const unfollow of follows) unfollow();
    await directSender.stop(graceMs);
    pause.stop();
    await recorder.stop();
    await closeProviders(providers);
  };
  let stopping: Promise<void> | undefined;
  return { shortSend, throttled, stop: (graceMs) => (stopping ??= stop(graceMs)) };
}

export function queueSwitchOf(config: Config): QueueSwitch {
  return createQueueSwitch({ enabled: config.whatsappSendQueueEnabled, percent: config.whatsappSendQueuePercent });
}

/** F3: a repetition is skipped, and said. Never with the recipient or the text. */
export function logDuplicate(log: Logger, { id, tenant }: { readonly id: string; readonly tenant: string }): void {
  log.info({ messageId: id, tenant }, 'skipped: the same content went to the same recipient within 24 h');
}

/** Without the queue nobody can ask it whether a person resumed the sender: then any change of the sender counts. */
function followResumes(
  queue: Pick<RedisSendQueue, 'isReachable'>,
  pause: DirectPause,
  caches: Pick<ProgramCaches, 'evictions'>,
): () => void {
  return caches.evictions((evicted) => {
    if (evicted.kind !== 'keys' || queue.isReachable()) return;
    for (const name of evicted.names) {
      if (name.startsWith(EVICTED.sender)) pause.resumed(decodeURIComponent(name.slice(EVICTED.sender.length)));
    }
  });
}
