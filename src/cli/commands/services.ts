import { defineCommand } from 'citty';
import { createLog } from '../../program/log.ts';
import { openDataServices } from '../../program/data-services.ts';
import { CommandError, settings } from '../settings.ts';
import { untilSignal } from '../until-signal.ts';

export const services = defineCommand({
  meta: {
    name: 'services',
    description: 'Run the embedded Redis and PostgreSQL alone, for several processes on this machine',
  },
  args: { json: { type: 'boolean', description: 'Print the two addresses as one JSON line' } },
  async run({ args }) {
    const config = settings();
    if (config.queueRedisUrl !== undefined || config.queueServers !== undefined || config.databaseUrl !== undefined) {
      throw new CommandError(
        'REDIS_URL or DATABASE_URL is set: those servers would be used, so there is nothing to run here. Unset both.',
      );
    }
    const log = createLog(args.json ? 'silent' : config.logLevel);
    const running = await openDataServices(config, log);
    if (args.json) {
      console.log(JSON.stringify({ REDIS_URL: running.redis.url, DATABASE_URL: running.databaseUrl }));
    } else {
      console.log(`REDIS_URL=${running.redis.url}`);
      console.log(`DATABASE_URL=${running.databaseUrl}`);
      console.error('Both run until this program ends. Give the two lines to the other processes.');
    }
    await untilSignal();
    await running.stop();
  },
});
