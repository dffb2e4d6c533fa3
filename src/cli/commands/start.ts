import { defineCommand } from 'citty';
import { createLog, logLastWords } from '../../program/log.ts';
import { type Program, type Role, startProgram } from '../../program/start-program.ts';
import { settings, UsageError } from '../settings.ts';
import { untilSignal } from '../until-signal.ts';

export const start = defineCommand({
  meta: { name: 'start', description: 'Run the program: accept (web), send (worker), or both' },
  args: {
    role: { type: 'string', description: 'web | worker | all (without it: WAXWING_ROLE, all)', valueHint: 'role' },
    port: {
      type: 'string',
      description: 'Port of the API; 0 = any free one (without it: PORT, 3000)',
      valueHint: 'number',
    },
    host: {
      type: 'string',
      description: 'Address that the API listens on (without it: HOST, 127.0.0.1)',
      valueHint: 'address',
    },
  },
  async run({ args }) {
    const config = settings({ WAXWING_ROLE: args.role, PORT: args.port, HOST: args.host });
    const log = createLog(config.logLevel);
    logLastWords(log);
    const program = await startProgram(config, config.waxwingRole, log);
    announce(program, config.waxwingDataDir);
    const signal = await untilSignal();
    log.info({ signal }, 'stopping: finishing what is in flight');
    await program.stop();
    log.info('stopped');
  },
});

/** One line on stdout says where; a key that was just made is printed this once. */
export function announce(program: Program, dataDir: string): void {
  if (program.keys.made.includes('apiKey')) {
    console.log(`API key (made now, kept in ${dataDir}/keys.json, shown this once): ${program.keys.apiKey}`);
  }
  const roles: Record<Role, string> = { web: 'web', worker: 'worker', all: 'web and worker' };
  const where = program.server === null ? '' : ` on ${program.server.url} · reference ${program.server.url}/docs`;
  console.log(`waxwing is ready (${roles[program.role]})${where}`);
}

export function parseInteger(text: string, name: string, min: number, max: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}; got ${JSON.stringify(text)}.`);
}
