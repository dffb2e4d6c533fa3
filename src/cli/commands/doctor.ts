import { defineCommand } from 'citty';
import { type Config, resolveKeys } from '../../config/index.ts';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../engine/connection.ts';
import { createQueueAdministration } from '../../jobs/index.ts';
import { openJobs } from '../../program/jobs.ts';
import { createLog } from '../../program/log.ts';
import { joinDataServices } from '../../program/data-services.ts';
import { unreachableQueue } from '../../program/queue.ts';
import { openRecordOf } from '../../program/record.ts';
import { diagnoseServices } from '../../observe/doctor-services.ts';
import { diagnose, type Finding } from '../../observe/doctor.ts';
import { schemaState, type WaxwingRecord } from '../../record/index.ts';
import { CommandError, settings } from '../settings.ts';
import { json } from '../common-args.ts';

export const doctor = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Examine queue, record, job queues and cache against the promises; exit 1 on a finding',
  },
  args: { json },
  async run({ args }) {
    const config = settings();
    const log = createLog('warn');
    const keys = await resolveKeys(config);
    const services = await joinDataServices(config, log);
    const record = openRecordOf(config, keys, services, log);
    const client = commandClient(services.redis, 30_000);
    const jobs = openJobs(config, services.redis, log);
    try {
      if (!(await whenReady(client, 5000))) throw new CommandError(unreachableQueue(services.redis));
      const { shards, acceptDurability: durability } = config;
      const findings = [
        ...(await diagnose({ client, shards, durability, record })),
        ...(await diagnoseServices({
          ...{ client, shards },
          pendingMigrations: async () => (await schemaState(services.databaseUrl)).pending.map(({ id }) => String(id)),
          jobQueues: () => jobQueues(jobs.queues),
          pendingFailures: () => pendingFailures(record, config),
          pingCache: cachePing(config),
          queueDisk: services.queueDisk,
        })),
      ];
      console.log(args.json ? JSON.stringify({ ok: findings.every(isRemark), findings }) : report(findings));
      return findings.every(isRemark) ? 0 : 1;
    } finally {
      disconnect(client);
      await jobs.close();
      await record.close();
      await services.stop();
    }
  },
});

/** Those of BullMQ; the send queue has been examined already. */
async function jobQueues(queues: ReturnType<typeof openJobs>['queues']) {
  const none = { accepted: 0, queued: 0, scheduled: 0, deferred: 0, inFlight: 0, unknown: 0, held: 0 };
  const counters = () => Promise.resolve({ ...none, sent: 0, failed: 0, cancelled: 0, expired: 0 });
  const nothing = () => Promise.resolve();
  const send = { counters, pauseAll: nothing, resumeAll: nothing, isPaused: () => Promise.resolve(false) };
  const name = 'send queue, examined above';
  const all = await createQueueAdministration({ queues, send, sendQueueName: name }).health();
  return all.queues.filter(({ queue }) => queue !== name);
}

async function pendingFailures(record: WaxwingRecord, { statusWatchdogSeconds }: Config): Promise<number> {
  return (await record.totals.open({ silentAfterSeconds: statusWatchdogSeconds })).pending;
}

function cachePing({ cacheRedisUrl }: Config): (() => Promise<void>) | undefined {
  if (cacheRedisUrl === undefined) return undefined;
  return async () => {
    const cache: RedisClient = commandClient({ url: cacheRedisUrl }, 2000);
    try {
      if (!(await whenReady(cache, 2000)))
        throw new CommandError('no connection within 2 s; reads go to the record meanwhile');
      await cache.ping();
    } finally {
      disconnect(cache);
    }
  };
}

function isRemark(finding: Finding): boolean {
  return finding.severity === 'remark';
}

/** What is wrong comes last, where a person looks first. */
function report(findings: readonly Finding[]): string {
  const width = Math.min(40, Math.max(0, ...findings.map(({ about }) => about.length)));
  const line = (mark: string) => (one: Finding) => `${mark} ${one.about.padEnd(width)}  ${one.detail}`;
  const bad = findings.filter((finding) => !isRemark(finding));
  const verdict =
    bad.length === 0 ? '✓ Everything is as promised.' : `${bad.length} finding${bad.length === 1 ? '' : 's'}.`;
  return [...findings.filter(isRemark).map(line('·')), ...bad.map(line('✗')), verdict].join('\n');
}
