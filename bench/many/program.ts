/* The program in a role, as `waxwing start` runs it; with `unmeasured` it keeps no figures, which only a bench wants. */
import { settings } from '../../src/cli/settings.ts';
import { createLog } from '../../src/program/log.ts';
import { type Role, startProgram } from '../../src/program/start-program.ts';

const [role, measured] = process.argv.slice(2);
const config = settings();
const program = await startProgram(config, role as Role, createLog('warn'), { isMeasured: measured !== 'unmeasured' });
process.send?.({ url: program.server?.url ?? '' });
const end = () => void program.stop().then(() => process.exit(0));
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMs: (user + system) / 1000 });
});
process.once('disconnect', end);
