import { defineCommand } from 'citty';
import { migrate as migrateDatabase, schemaState } from '../../record/index.ts';
import { createLog } from '../../program/log.ts';
import { joinDataServices } from '../../program/data-services.ts';
import { settings } from '../settings.ts';

export const migrate = defineCommand({
  meta: { name: 'migrate', description: 'Bring the database to the schema of this version' },
  args: { check: { type: 'boolean', description: 'Only compare; exit 1 when something is to be done' } },
  async run({ args }) {
    const config = settings();
    const running = await joinDataServices(config, createLog('warn'));
    try {
      const { pending } = await schemaState(running.databaseUrl);
      const names = pending.map(({ name }) => name).join(', ');
      if (args.check) {
        console.log(pending.length === 0 ? 'The schema is up to date.' : `To be applied: ${names}`);
        return pending.length === 0 ? 0 : 1;
      }
      await migrateDatabase(running.databaseUrl);
      console.log(pending.length === 0 ? 'The schema was up to date.' : `Applied: ${names}`);
      return 0;
    } finally {
      await running.stop();
    }
  },
});
