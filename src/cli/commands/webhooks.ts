import { defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import { createWebhookKeeper } from '../../inbound/index.ts';
import { isSenderProvider, SENDER_PROVIDERS, type SenderProvider } from '../../model/provider.ts';
import { joinDataServices } from '../../program/data-services.ts';
import { openJobs } from '../../program/jobs.ts';
import { createLog } from '../../program/log.ts';
import { openRecordOf } from '../../program/record.ts';
import { settings, UsageError } from '../settings.ts';

const replay = defineCommand({
  meta: { name: 'replay', description: 'Process webhooks of a time range again, in the workers that run' },
  args: {
    from: { type: 'string', required: true, description: 'Received at or after, ISO 8601', valueHint: 'time' },
    to: { type: 'string', description: 'Received before, ISO 8601 (without it: now)', valueHint: 'time' },
    provider: { type: 'string', description: 'cloud | evolution | twilio (without it: all)' },
    'dry-run': { type: 'boolean', description: 'Only count' },
  },
  async run({ args }) {
    const range = {
      fromMs: instantOf('--from', args.from),
      toMs: args.to === undefined ? Date.now() : instantOf('--to', args.to),
      provider: args.provider === undefined ? undefined : providerOf(args.provider),
    };
    if (range.fromMs >= range.toMs) throw new UsageError('--to must be later than --from.');
    const config = settings();
    const log = createLog('warn');
    const keys = await resolveKeys(config);
    const services = await joinDataServices(config, log);
    const record = openRecordOf(config, keys, services, log);
    const jobs = openJobs(config, services.redis, log);
    try {
      const keeper = createWebhookKeeper({ rawWebhooks: record.rawWebhooks, queues: jobs.queues });
      const { found, queued } = await keeper.replay(range, args['dry-run'] === true);
      const what = `${found} webhook${found === 1 ? '' : 's'} in this range`;
      console.log(args['dry-run'] === true ? `${what}; nothing was done.` : `${what}, ${queued} queued.`);
      return 0;
    } finally {
      await jobs.close();
      await record.close();
      await services.stop();
    }
  },
});

export const webhooks = defineCommand({
  meta: { name: 'webhooks', description: 'Look after webhooks that came in' },
  subCommands: { replay },
});

/** A misspelt one would find nothing and look like success. */
function providerOf(text: string): SenderProvider {
  if (isSenderProvider(text)) return text;
  throw new UsageError(`--provider must be one of ${SENDER_PROVIDERS.join(', ')}; got ${JSON.stringify(text)}.`);
}

function instantOf(name: string, text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new UsageError(`${name} is no time: write it as 2026-01-31T08:00:00Z.`);
  return ms;
}
