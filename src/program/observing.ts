import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue, SendQueueOptions } from '../engine/queue.ts';
import {
  ALERT_RULES,
  AlertEngine,
  type AlertRule,
  type QueueDisk,
  alertWebhook,
  diskSource,
  Metrics,
  queueSource,
  redisAlertStore,
  recordSource,
  LiveTotals,
  LiveView,
  readQueueStates,
  redisSource,
  senderDirectory,
  SendMetrics,
} from '../observe/index.ts';
import { cacheSource, circuitSource, type CountedCache, type NamedRedis } from '../observe/index.ts';
import type { RecorderOptions, WaxwingRecord } from '../record/index.ts';
import type { QueueService } from '../jobs/index.ts';
import type { Breakers } from '../util/breakers.ts';
import type { RetryWorker } from '../failures/index.ts';
import type { SenderDirectory } from '../observe/sources/sender-directory.ts';
import { jobSource } from './job-figures.ts';
import { retryWorkerSource } from './retry-worker-figures.ts';
import type { Recorders } from './recorders.ts';

/** The figures of this process, and the hooks by which its parts tell them. */
export interface Observing {
  /** Other parts of the program register their `MetricSource` here. */
  readonly metrics: Metrics;
  /** Redis servers whose memory, clients and evictions are shown; parts add theirs. */
  readonly redisServers: NamedRedis[];
  /** Circuit breakers of this process, by what makes them. */
  readonly breakers: Pick<Breakers, 'list'>[];
  readonly ofQueue: Pick<SendQueueOptions, 'onAccept'>;
  readonly ofRecorder: Pick<RecorderOptions, 'onBatch'>;
  readonly onSettled: (request: SettleRequest) => void;
  /** Messages that had been sent and have failed for good, as a status told. */
  readonly onUndelivered: (count: number) => void;
  /** Settlements told since the start. */
  readonly settled: () => number;
  /** Adds what queue and record know, once they are open. */
  watch(parts: {
    readonly queue: RedisSendQueue;
    readonly record: WaxwingRecord;
    readonly recorders: Recorders;
    readonly queues: QueueService;
    /** Null where none runs: in a web process. */
    readonly retryWorker: Pick<RetryWorker, 'getStatus'> | null;
    readonly queueDisk: QueueDisk | undefined;
    readonly caches: () => readonly CountedCache[];
  }): void;
  /** The live view of the dashboard; watch() must have been called. The caller starts and stops it. */
  liveView(parts: {
    readonly queue: RedisSendQueue;
    readonly record: WaxwingRecord;
    readonly alerts: AlertEngine;
  }): LiveView;
  /** Begins to look at the alert rules, once all sources are registered. */
  startAlerts(queue: RedisSendQueue, log: Logger, options?: AlertOptions): AlertEngine;
}

export interface AlertOptions {
  /** Default: all of them, with the times that are written there. */
  readonly rules?: readonly AlertRule[];
  /** How often the rules are looked at. Default 5 s. */
  readonly everyMs?: number;
}

/** Senders whose names the live view knows. */
const SENDERS_MAX = 10_000;

/** @param isMeasured false = sends and accepts are not counted and no alert is looked for: for a bench of what that costs */
export function createObserving(config: Config, isMeasured = true): Observing {
  const metrics = new Metrics();
  const sending = new SendMetrics(metrics.registry, { tenantsMax: config.metricsTenantsMax });
  const redisServers: NamedRedis[] = [];
  let settled = 0;
  const breakers: Pick<Breakers, 'list'>[] = [];
  const totals = new LiveTotals();
  const onUndelivered = (count: number) => {
    if (isMeasured && count > 0) totals.countNow('undelivered:final', count);
  };
  let directory: SenderDirectory = () => Promise.resolve(new Map());
  return {
    metrics,
    redisServers,
    breakers,
    ofQueue: isMeasured ? { onAccept: (message, result) => sending.accepted(message, result) } : {},
    ofRecorder: {
      onBatch: ({ deliveries, undelivered }) => {
        if (!isMeasured) return;
        onUndelivered(undelivered);
        for (const change of deliveries) {
          sending.delivered(change, change.status);
          if (change.status === 'delivered') totals.count('delivered');
          else if (change.status === 'failed') totals.count('undelivered');
        }
      },
    },
    onSettled: (request) => {
      settled += 1;
      if (!isMeasured) return;
      sending.settled(request);
      if (request.settlement.kind === 'sent') totals.count(`sent:${request.grant.lane.sender}`);
    },
    onUndelivered,
    settled: () => settled,
    watch({ queue, record, recorders, queues, retryWorker, queueDisk, caches }) {
      const { client } = queue.runner;
      totals.connect(client);
      redisServers.push({ name: 'queue', client });
      metrics.register(redisSource(() => redisServers));
      const senders = senderDirectory({
        known: () => queue.knownSenders,
        recorded: async () => await record.senders.shards(),
      });
      directory = senders;
      const undelivered = () => totals.one('undelivered:final');
      metrics.register(queueSource({ client, shards: queue.shards, senders, undelivered }));
      metrics.register(
        recordSource({
          record,
          recorders: () => recorders.list,
          silentAfterSeconds: config.statusWatchdogSeconds,
        }),
      );
      metrics.register(circuitSource({ queue, senders, breakers: () => breakers.flatMap((one) => one.list()) }));
      metrics.register(jobSource(queues));
      metrics.register(cacheSource(caches));
      if (queueDisk !== undefined) metrics.register(diskSource(queueDisk));
      if (retryWorker !== null) metrics.register(retryWorkerSource(retryWorker));
    },
    liveView({ queue, record, alerts }) {
      return new LiveView({
        queue,
        readStates: async () => await readQueueStates(queue.runner.client, queue.shards, await directory()),
        totals,
        metrics,
        alerts: () => alerts.state.alerts,
        record: {
          senders: () => record.senders.names(SENDERS_MAX),
          qualities: () => record.providerChanges.qualities(),
          oldestWaiting: async () => (await record.totals.oldestWaiting({ limit: 1 }))[0] ?? null,
          timings: () => record.timings.recent(),
          oldestOf: (tenants) => record.totals.oldestWaiting({ tenants, limit: tenants.length }),
        },
      });
    },
    startAlerts(queue, log, { rules = ALERT_RULES, everyMs } = {}) {
      const engine = alertEngine(config, rules, metrics, queue, log);
      metrics.register(engine.source());
      if (isMeasured) engine.start(everyMs);
      return engine;
    },
  };
}

function alertEngine(
  config: Config,
  rules: readonly AlertRule[],
  metrics: Metrics,
  queue: RedisSendQueue,
  log: Logger,
): AlertEngine {
  const { alertWebhookUrl: url, alertWebhookSecret: secret } = config;
  return new AlertEngine({
    rules,
    metrics,
    store: redisAlertStore(queue.runner.client),
    process: `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`,
    deliver: url === undefined || secret === undefined ? null : alertWebhook({ url, secret }),
    onChange: (rule, { kind, alert }) => {
      const line = { alert: rule.id, severity: rule.severity, instance: alert.instance, value: alert.value };
      if (kind === 'resolved') log.info(line, `alert is over: ${rule.sentence}`);
      else if (rule.severity === 'critical') log.error({ ...line, advice: rule.advice }, `alert: ${rule.sentence}`);
      else log.warn({ ...line, advice: rule.advice }, `alert: ${rule.sentence}`);
    },
    onUndelivered: (notice, error, isGivenUp) => {
      const line = { notice: notice.id, attempts: notice.attempts + 1, err: error };
      if (isGivenUp) log.error(line, 'the alert webhook did not take an alert for a day; it is given up');
      else log.warn(line, 'the alert webhook did not take an alert; it is told again');
    },
  });
}
