#!/usr/bin/env node
import { stripVTControlCharacters } from 'node:util';
import { type CommandDef, defineCommand, renderUsage, runCommand } from 'citty';
import { AppError } from '../errors/app-error.ts';
import { COMMAND_NAMES, COMMANDS } from './commands/index.ts';
import { packageVersion } from '../util/version.ts';

const main = defineCommand({
  meta: {
    name: 'waxwing',
    version: packageVersion(),
    description: 'WhatsApp messages: once, in order, at the pace WhatsApp allows',
  },
  subCommands: COMMANDS,
});

process.exitCode = await run(process.argv.slice(2));

async function run(argv: readonly string[]): Promise<number> {
  const [name = '--help'] = argv;
  if (['--help', '-h', 'help'].includes(name)) return await usage(main);
  if (['--version', '-v'].includes(name)) {
    console.log(packageVersion());
    return 0;
  }
  if (!COMMAND_NAMES.includes(name)) {
    console.error(`waxwing has no command ${JSON.stringify(name)}. One of: ${COMMAND_NAMES.join(', ')}.`);
    return 2;
  }
  try {
    const { command, parent, rest } = await resolve(argv);
    if (rest.includes('--help') || rest.includes('-h') || command.run === undefined)
      return await usage(command, parent);
    const { result } = await runCommand(command, { rawArgs: [...rest] });
    return typeof result === 'number' ? result : 0;
  } catch (error) {
    console.error(explain(error));
    return 1;
  }
}

interface Resolved {
  readonly command: CommandDef;
  readonly parent: CommandDef;
  readonly rest: readonly string[];
}

/** Follows the words of the command line down to the command that they name. */
async function resolve(argv: readonly string[]): Promise<Resolved> {
  let resolved: Resolved = { command: main, parent: main, rest: argv };
  for (;;) {
    const { command, rest } = resolved;
    const [word = ''] = rest;
    const children = (command.subCommands ?? {}) as Record<string, CommandDef | (() => Promise<CommandDef>)>;
    const child = Object.hasOwn(children, word) ? children[word] : undefined;
    if (child === undefined) return resolved;
    const loaded = typeof child === 'function' ? await child() : child;
    resolved = { command: loaded, parent: command, rest: rest.slice(1) };
  }
}

async function usage(command: CommandDef, parent?: CommandDef): Promise<number> {
  const text = await renderUsage(command, parent);
  console.log(process.stdout.isTTY ? text : stripVTControlCharacters(text));
  return 0;
}

/** Operating errors are sentences for the person; anything else is a fault of ours, and its stack helps to find it. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof AppError) return `${error.message} (${error.code})`;
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC')
    return 'No space is left on a disk that is written to, as a rule that of WAXWING_DATA_DIR: free some and start again.';
  const isForPeople = [
    'CommandError',
    'StartError',
    'EmbeddedError',
    'MigrationError',
    'SecretBoxError',
    'CLIError',
  ].includes(error.name);
  const { cause } = error;
  const isOperating = typeof cause === 'object' && cause !== null && 'code' in cause;
  return isForPeople || isOperating ? error.message : (error.stack ?? error.message);
}
