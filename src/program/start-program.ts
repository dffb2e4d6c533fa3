import type { Logger } from 'pino';
import { type Config, type Keys, resolveKeys } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { RetryWorker, WaxwingFailures } from '../failures/index.ts';
import type { HttpServer } from '../http/index.ts';
import type { Responder } from '../inbound/index.ts';
import type { QueueService } from '../jobs/index.ts';
import type { Messages, ShortSend, ThrottledSender } from '../messages/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { Statistics } from '../stats/index.ts';
import type { ContentSidCache, TemplateRegistry } from '../templates/index.ts';
import { type Accepting, createAccepting } from './accepting.ts';
import { openBookings } from './bookings.ts';
import { openCaches, type ProgramCaches } from './caches.ts';
import { type DataServices, openDataServices } from './data-services.ts';
import { openFailures } from './failures.ts';
import { createInbound, type Inbound } from './inbound.ts';
import { inboundSource } from './inbound-figures.ts';
import { openJobs } from './jobs.ts';
import { Leaving } from './leaving.ts';
import { withSafeErrors } from './log.ts';
import { startMetricsServer } from './metrics-server.ts';
import { type AlertOptions, createObserving, type Observing } from './observing.ts';
import { prepareSenders } from './prepare-senders.ts';
import { openQueue } from './queue.ts';
import { openRecordOf } from './record.ts';
import { createRecordBreakers } from './record-breaker.ts';
import { migrateWhenPossible } from './recorders.ts';
import { startRecording } from './recording.ts';
import { openResponding } from './responding.ts';
import { accountReader } from './sender-accounts.ts';
import { openShortSending } from './short-send.ts';
import { Started } from './started.ts';
import { openStatistics } from './statistics.ts';
import { tagKeyOf } from './tag-key.ts';
import { openTemplates, restoreHolds, templateHooks } from './templates.ts';
import { startTraces } from './traces.ts';
import { startWatching } from './watching.ts';
import { startWeb } from './web.ts';
import type { RunningWorker } from './worker.ts';
import { startWorkerRole } from './worker-role.ts';

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

interface ProgramOptions {
  /** Serve the HTTP API, and METRICS_PORT; default true. False for a program that embeds this one. */
  readonly listen?: boolean;
  /** Answers incoming messages, instead of RESPONDER_URL. */
  readonly responder?: Responder | undefined;
  /** Other rules, and how often they are looked at: for tests that have no minutes to wait. */
  readonly alerts?: AlertOptions;
  /** Default true; false = keeps no figures, for a bench of what they cost. */
  readonly isMeasured?: boolean;
}

/**
 * Starts the program in a role: what every role has, then worker, then web, so that whoever gets an answer finds
 * everything behind it running.
 * @throws with a sentence for the person when a part cannot start; what was started is ended again
 */
export async function startProgram(
  config: Config,
  role: Role,
  givenLog: Logger,
  options: ProgramOptions = {},
): Promise<Program> {
  const log = withSafeErrors(givenLog);
  const started = new Started();
  const leaving = new Leaving({ drainMs: config.shutdownDrainMs, graceMs: config.shutdownGraceMs });
  try {
    const parts = await openParts(config, role, log, options, started);

    const worker = role === 'web' ? null : await startWorkerRole(parts, leaving, started);
    const { alerts, readyChecks } = startWatching(parts, worker, options.alerts, started);

    const listens = options.listen !== false;
    const server = listens && role !== 'worker' ? await startWeb({ ...parts, readyChecks, leaving, alerts }) : null;
    if (server !== null) started.add(() => server.stop(leaving.leftMs()));
    const metricsServer =
      listens && config.metricsPort !== undefined
        ? await startMetricsServer({ ...parts, readyChecks, isStopping: () => leaving.isStopping })
        : null;
    if (metricsServer !== null) started.add(() => metricsServer.stop(leaving.leftMs()));

    // Ended before the servers: requests that wait for a direct send's turn would only hold them up.
    started.add(() => parts.shortSending.stop(leaving.leftMs()));

    let stopping: Promise<void> | undefined;
    const stop = async () => {
      await leaving.leave(server !== null);
      await started.end();
    };
    return { ...parts, role, server, metricsServer, worker, stop: () => (stopping ??= stop()) };
  } catch (error) {
    await started.end();
    throw error;
  }
}

/** What every role has, from the data services to what comes in: a part knows only those that were opened before it. */
async function openParts(config: Config, role: Role, log: Logger, options: ProgramOptions, started: Started) {
  const keys = await resolveKeys(config);
  started.add(await startTraces(config, role));

  const services = await openDataServices(config, log);
  started.add(() => services.stop());

  const caches = await openCaches(config, services.cacheRedisUrl, log);
  started.add(() => caches.stop());
  const recordBreakers = createRecordBreakers(config, log);
  const record = openRecordOf(config, keys, services, log, { ...caches.ofRecord, breakers: recordBreakers });
  started.add(() => record.close());
  const isMigrated = await migrateWhenPossible(services.databaseUrl, log, started.ending);
  const observing = createObserving(config, options.isMeasured);
  started.add(() => caches.unfollow());
  const contentSids = await caches.follow(record);

  const queue = await openQueue(config, services, log, observing.ofQueue);
  started.add(() => queue.close());
  await prepareSenders(config, queue, record, isMigrated, log);
  const base = { config, keys, log, services, caches, record, queue, observing };
  const { recorders, eventsOut } = await startRecording(base, started);

  const accepting = createAccepting(config, queue, record, caches, log);
  const { messages, senders } = accepting;

  const failures = openFailures({ ...base, accepting });
  started.add(() => failures.worker.stop());
  if (role !== 'web') failures.worker.start();

  const jobs = openJobs(config, services.redis, log);
  started.add(() => jobs.close());
  const { queues } = jobs;

  const sending = { ...base, accepting, queues, readAccount: accountReader(config, record), tagKey: tagKeyOf(keys) };
  const shortSending = openShortSending({ ...sending, messages, senders });
  started.add(() => shortSending.stop(config.shutdownGraceMs));
  const bookings = openBookings(config, record, queues, messages);
  const stats = openStatistics(record, caches.service);
  const templates = openTemplates(sending);
  if (isMigrated) restoreHolds(templates, log);

  const responding = openResponding({ ...sending, responder: options.responder });
  started.add(() => responding.close());
  const inbound = createInbound({ ...sending, hooks: [templateHooks(templates), eventsOut.hooks, responding.hooks] });
  started.add(() => inbound.close());
  observing.breakers.push(responding.breakers, recordBreakers);
  observing.metrics.register(eventsOut.source);
  observing.metrics.register(inboundSource(inbound.statistics));

  const { shortSend, throttled } = shortSending;
  return {
    ...sending,
    ...{ contentSids, recorders, eventsOut, messages, failures, jobs, bookings, stats, templates, responding, inbound },
    ...{ shortSending, shortSend, throttled },
  };
}
