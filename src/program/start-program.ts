import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { type Config, type Keys, resolveKeys } from '../config/index.ts';
import { shardPrefix } from '../engine/keys.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { HttpServer } from '../http/index.ts';
import type { QueueService } from '../jobs/index.ts';
import type { RetryWorker, WaxwingFailures } from '../failures/index.ts';
import {
  type Messages,
  senderLimits,
  settingsSenders,
  type ShortSend,
  type ThrottledSender,
} from '../messages/index.ts';
import type { TagKey } from '../providers/tag.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Statistics } from '../stats/index.ts';
import type { ContentSidCache, TemplateRegistry } from '../templates/index.ts';
import { openCaches, type ProgramCaches } from './caches.ts';
import { type DataServices, openDataServices } from './data-services.ts';
import { openBookings, startReminderSweep } from './bookings.ts';
import { createJobProcessors } from './job-processors.ts';
import { openJobs } from './jobs.ts';
import { withSafeErrors } from './log.ts';
import { type AlertOptions, createObserving, type Observing } from './observing.ts';
import { startMetricsServer } from './metrics-server.ts';
import { Leaving } from './leaving.ts';
import { watchProgress } from './progress.ts';
import { openFailures } from './failures.ts';
import { openEventsOut } from './events-out.ts';
import { openResponding } from './responding.ts';
import type { Responder } from '../inbound/index.ts';
import { createInbound, type Inbound } from './inbound.ts';
import { inboundSource } from './inbound-figures.ts';
import { openQueue } from './queue.ts';
import { accountReader } from './sender-accounts.ts';
import { openStatistics } from './statistics.ts';
import { openTemplates, restoreHolds, stoppedTemplates } from './templates.ts';
import { createRecordBreakers } from './record-breaker.ts';
import { openRecordOf } from './record.ts';
import { migrateWhenPossible, startRecorders } from './recorders.ts';
import { openShortSending } from './short-send.ts';
import { type Accepting, createAccepting, queueCheck, startWeb } from './web.ts';
import { startTraces } from './traces.ts';
import { type RunningWorker, startWorker } from './worker.ts';

export type Role = 'web' | 'worker' | 'all';

export interface Program {
  readonly role: Role;
  readonly keys: Keys;
  readonly services: DataServices;
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly messages: Messages;
  readonly inbound: Inbound;
  readonly failures: WaxwingFailures & { readonly worker: RetryWorker };
  readonly shortSend: ShortSend;
  readonly throttled: ThrottledSender;
  readonly queues: QueueService;
  readonly accepting: Accepting;
  readonly caches: ProgramCaches;
  readonly contentSids: ContentSidCache;
  readonly stats: Statistics;
  readonly templates: TemplateRegistry;
  /** Null in the worker role, and when nothing should listen. */
  readonly server: HttpServer | null;
  /** Health and figures at METRICS_PORT; null when that is unset, and when nothing should listen. */
  readonly metricsServer: HttpServer | null;
  readonly worker: RunningWorker | null;
  /** Figures of this process; parts register their `MetricSource` here. */
  readonly observing: Observing;
  /** Takes no more, finishes what is in flight within the grace period, and ends what it started. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts the program in a role: data services, record, queue, then worker, then web, so that whoever gets an answer
 * finds everything behind it running.
 * @param options.responder answers incoming messages, instead of RESPONDER_URL
 * @param options.alerts other rules, and how often they are looked at: for tests that have no minutes to wait
 * @param options.isMeasured false = keeps no figures, for a bench of what they cost; default true
 * @param options.listen false = no HTTP API, for a program that embeds this one; default true
 * @throws with a sentence for the person when a part cannot start; what was started is ended again
 */
export async function startProgram(
  config: Config,
  role: Role,
  givenLog: Logger,
  options: {
    readonly listen?: boolean;
    readonly responder?: Responder | undefined;
    readonly alerts?: AlertOptions;
    readonly isMeasured?: boolean;
  } = {},
): Promise<Program> {
  const log = withSafeErrors(givenLog);
  const started: (() => unknown)[] = [];
  const abort = new AbortController();
  const undo = async () => {
    abort.abort();
    for (const end of started.reverse()) await end();
  };
  try {
    const keys = await resolveKeys(config);
    started.push(await startTraces(config, role));
    const services = await openDataServices(config, log);
    started.push(() => services.stop());
    const caches = await openCaches(config, services.cacheRedisUrl, log);
    const recordBreakers = createRecordBreakers(config, log);
    const record = openRecordOf(config, keys, services, log, { ...caches.ofRecord, breakers: recordBreakers });
    started.push(() => record.close());
    started.push(() => caches.stop());
    const isMigrated = await migrateWhenPossible(services.databaseUrl, log, abort.signal);
    const observing = createObserving(config, options.isMeasured);
    const contentSids = await caches.follow(record);
    const queue = await openQueue(config, services, log, observing.ofQueue);
    started.push(() => queue.close());
    await prepareSenders(config, queue, record, isMigrated, log);
    const eventsOut = await openEventsOut({ config, keys, record, log });
    started.push(() => eventsOut.stop(config.shutdownGraceMs));
    const recorders = startRecorders(queue, services.redis, services.databaseUrl, log, {
      // The recorders keep their own pace, past the breaker: the first to reach PostgreSQL again ends its waiting.
      onReached: () => record.reached(),
      async onBatch(batch) {
        record.reached();
        void observing.ofRecorder.onBatch?.(batch);
        eventsOut.wake();
        await caches.ofRecorder.onBatch?.(batch);
      },
    });
    started.push(() => recorders.stop());
    const accepting = createAccepting(config, queue, record, caches, log);
    const failures = openFailures({ config, queue, record, accepting, observing, log });
    started.push(() => failures.worker.stop());
    if (role !== 'web') failures.worker.start();
    const jobs = openJobs(config, services.redis, log);
    started.push(() => jobs.close());
    const tagKey = tagKeyOf(keys);
    const readAccount = accountReader(config, record);
    const { messages } = accepting;
    const shortSending = openShortSending({
      ...{ config, queue, record, messages, readAccount, tagKey, log, caches, senders: accepting.senders },
    });
    const { shortSend, throttled } = shortSending;
    const { queues } = jobs;
    const bookings = openBookings(config, record, queues, messages);
    const stats = openStatistics(record, caches.service);
    const templates = openTemplates({ config, queue, record, accepting, caches });
    if (isMigrated) restoreHolds(templates, log);
    const base = {
      config,
      keys,
      queue,
      record,
      log,
      accepting,
      failures,
      caches,
      queues,
      bookings,
      shortSend,
      readAccount,
      tagKey,
      stats,
      templates,
    };
    const responding = openResponding({ ...base, responder: options.responder });
    started.push(() => responding.close());
    observing.breakers.push(responding.breakers, recordBreakers);
    observing.metrics.register(eventsOut.source);
    const inbound = createInbound({ ...base, hooks: [eventsOut.hooks, responding.hooks] });
    started.push(() => inbound.close());
    observing.metrics.register(inboundSource(inbound.statistics));
    const parts = { ...base, inbound, responding, eventsOut };
    const noteStopped = stoppedTemplates(templates, log);
    const leaving = new Leaving({ drainMs: config.shutdownDrainMs, graceMs: config.shutdownGraceMs });
    let stopping: Promise<void> | undefined;
    const worker =
      role === 'web'
        ? null
        : await startWorker({
            ...parts,
            redis: services.redis,
            onSettled: (request) => {
              observing.onSettled(request);
              noteStopped(request);
            },
          });
    if (worker !== null) started.push(() => worker.stop(leaving.leftMs(config.providerTimeoutMs)));
    if (worker !== null) {
      const stopJobs = await jobs.startWorkers(createJobProcessors(parts));
      started.push(inbound.startKeeping());
      eventsOut.start();
      // Both kinds of work end within one grace period, not one after the other.
      started.push(() => Promise.all([stopJobs(), worker.stop(leaving.leftMs(config.providerTimeoutMs))]));
      started.push(startReminderSweep(bookings, log));
    }
    observing.watch({
      queue,
      record,
      recorders,
      queues: jobs.queues,
      queueDisk: services.queueDisk,
      retryWorker: role === 'web' ? null : failures.worker,
      caches: () => [...caches.service.caches.metrics.values()],
    });
    const alerts = observing.startAlerts(queue, log, options.alerts);
    started.push(() => alerts.stop());
    const progress = worker === null ? null : watchProgress(observing, () => worker.worker.inWork);
    started.push(() => progress?.stop());
    const readyChecks = {
      queue: queueCheck(queue),
      record: () => record.ping(),
      ...(services.queueDisk === undefined ? {} : { disk: services.queueDisk.check }),
      ...(worker === null
        ? {}
        : {
            worker: async () => {
              await assertRegistered(queue, worker);
              progress?.check();
            },
          }),
    };
    const listens = role !== 'worker' && options.listen !== false;
    const server = !listens ? null : await startWeb({ ...parts, readyChecks, leaving, observing, alerts });
    if (server !== null) started.push(() => server.stop(leaving.leftMs()));
    const metricsServer =
      options.listen === false || config.metricsPort === undefined
        ? null
        : await startMetricsServer({ ...parts, readyChecks, observing, isStopping: () => leaving.isStopping });
    if (metricsServer !== null) started.push(() => metricsServer.stop(leaving.leftMs()));
    // Ended first: requests that wait for a direct send's turn would only hold the server up.
    started.push(() => shortSending.stop(leaving.leftMs()));
    const stop = async () => {
      await leaving.leave(server !== null);
      await undo();
    };
    return {
      role,
      keys,
      services,
      queue,
      record,
      inbound,
      messages,
      failures,
      shortSend,
      throttled,
      queues,
      accepting,
      caches,
      contentSids,
      stats,
      templates,
      server,
      metricsServer,
      worker,
      observing,
      stop: () => (stopping ??= stop()),
    };
  } catch (error) {
    await undo();
    throw error;
  }
}

/** The engine learns every sender's limits, so that waiting messages go on although nobody accepts new ones. */
async function prepareSenders(
  config: Config,
  queue: RedisSendQueue,
  record: WaxwingRecord,
  isRecordThere: boolean,
  log: Logger,
): Promise<void> {
  const own = settingsSenders(config);
  for (const sender of own) await queue.configureSender(senderLimits(sender));
  if (!isRecordThere) return;
  for (const sender of own) await record.senders.ensure(sender);
  const { senders, unreadable } = await record.senders.all();
  for (const sender of senders) await queue.configureSender(senderLimits(sender));
  if (unreadable.length > 0) {
    log.error(
      { senders: unreadable },
      'credentials were sealed with another WAXWING_SECRET_KEY; these senders cannot send',
    );
  }
}

/** Every process must make and read the same tags, so their key comes from the one secret that they share. */
function tagKeyOf(keys: Keys): TagKey {
  const derive = (secret: string) => createHash('sha256').update(`waxwing tag ${secret}`).digest();
  // Statuses of messages that were sent before the key was changed go on proving themselves.
  return [derive(keys.secretKey), ...keys.previousSecretKeys.map(derive)];
}

async function assertRegistered(queue: RedisSendQueue, worker: RunningWorker): Promise<void> {
  for (let shard = 0; shard < queue.shards; shard += 1) {
    const beat = await queue.runner.client.hget(`${shardPrefix(shard)}hb`, worker.name);
    if (beat === null) throw new Error(`the worker is not registered in shard ${shard}`);
  }
}
