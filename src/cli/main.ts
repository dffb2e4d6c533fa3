#!/usr/bin/env node
import { defineCommand, renderUsage, runCommand } from 'citty';
import { AppError } from '../errors/app-error.ts';
import { COMMANDS } from './commands/index.ts';
import { packageVersion } from './program/web.ts';

const main = defineCommand({
  meta: {
    name: 'waxwing',
    version: packageVersion(),
    description: 'WhatsApp messages: once, in order, at the pace WhatsApp allows',
  },
  subCommands: COMMANDS,
});

process.exitCode = await run(process.argv.slice(2));

async function run(argv: string[]): Promise<number> {
  const [name] = argv;
  if (argv.length === 0 || name === '--help' || name === '-h' || name === 'help') {
    console.log(await renderUsage(main));
    return 0;
  }
  if (name === '--version' || name === '-v') {
    console.log(packageVersion());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name ?? '') ? COMMANDS[name as keyof typeof COMMANDS] : undefined;
  if (command === undefined) {
    console.error(`waxwing has no command ${JSON.stringify(name)}. One of: ${Object.keys(COMMANDS).join(', ')}.`);
    return 2;
  }
  if (argv.includes('--help') || argv.includes('-h')) {
    console.log(await renderUsage(command as typeof main, main));
    return 0;
  }
  try {
    const { result } = await runCommand(command as typeof main, { rawArgs: argv.slice(1) });
    return typeof result === 'number' ? result : 0;
  } catch (error) {
    console.error(explain(error));
    return 1;
  }
}

/** Operating errors are sentences for the person; anything else is a fault of ours, and its stack helps to find it. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AppError) return `${error.message} (${error.code})`;
  const isForPeople = ['CommandError', 'EmbeddedError', 'MigrationError', 'SecretBoxError', 'CLIError'].includes(
    error.name,
  );
  const isOperating = error.cause !== undefined && 'code' in (error.cause as object);
  return isForPeople || isOperating ? error.message : (error.stack ?? error.message);
}
