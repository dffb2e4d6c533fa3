import pino from 'pino';
import { loadConfig } from '../../../src/config/index.ts';
import { startProgram } from '../../../src/program/start-program.ts';

/** A web process on the settings in its argument, which says its address: to be killed while it owes something. */
const loaded = loadConfig(JSON.parse(process.argv[2] ?? '{}') as Record<string, string>, '/nonexistent');
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const { server } = await startProgram(loaded.config, 'web', pino({ level: 'silent' }));
process.stdout.write(`${server?.url ?? ''}\n`);
