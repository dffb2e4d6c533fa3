#!/usr/bin/env node
import { type CommandDef, defineCommand, runCommand } from 'citty';
import { AppError } from '../errors/app-error.ts';
import { COMMANDS } from './commands/index.ts';
import { childrenOf, helpOf } from './help.ts';
import { UsageError } from './settings.ts';
import { packageVersion } from '../util/version.ts';
import { checkWords } from './words.ts';

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
  if (name === 'help') return await run([...argv.slice(1), '--help']);
  if (['--version', '-v'].includes(name)) {
    console.log(packageVersion());
    return 0;
  }
  try {
    const { command, path, rest } = await resolve(argv);
    const isHelpWanted = wordsBefore('--', rest).some((word) => ['--help', '-h'].includes(word));
    if (isHelpWanted || (command.run === undefined && rest.length === 0)) {
      // Unknown where a program reads it: that wants whole lines.
      const width = (process.stdout.columns as number | undefined) ?? Infinity;
      console.log(await helpOf({ path, command, isTerminal: isColourWanted(), width }));
      return 0;
    }
    if (command.run === undefined) throw new UsageError(unknownCommand(path, command, rest[0] ?? ''));
    checkWords(path, command, rest);
    const { result } = await runCommand(command, { rawArgs: [...rest] });
    return typeof result === 'number' ? result : 0;
  } catch (error) {
    console.error(explain(error));
    return error instanceof UsageError ? 2 : 1;
  }
}

interface Resolved {
  readonly command: CommandDef;
  /** The words that named it: `waxwing streams health`. */
  readonly path: string;
  readonly rest: readonly string[];
}

/** Follows the words of the command line down to the command that they name. */
async function resolve(argv: readonly string[]): Promise<Resolved> {
  let resolved: Resolved = { command: main, path: 'waxwing', rest: argv };
  for (;;) {
    const { command, path, rest } = resolved;
    const [word = ''] = rest;
    const children = childrenOf(command);
    const child = Object.hasOwn(children, word) ? children[word] : undefined;
    if (child === undefined) return resolved;
    const loaded = typeof child === 'function' ? await child() : child;
    resolved = { command: loaded, path: `${path} ${word}`, rest: rest.slice(1) };
  }
}

function unknownCommand(path: string, command: CommandDef, word: string): string {
  const names = Object.keys(childrenOf(command)).join(', ');
  return `${path} has no command ${JSON.stringify(word)}. One of: ${names}.`;
}

function wordsBefore(end: string, words: readonly string[]): readonly string[] {
  const at = words.indexOf(end);
  return at < 0 ? words : words.slice(0, at);
}

function isColourWanted(): boolean {
  return process.stdout.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb';
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
    'UsageError',
  ].includes(error.name);
  const { cause } = error;
  const isOperating = typeof cause === 'object' && cause !== null && 'code' in cause;
  return isForPeople || isOperating ? error.message : (error.stack ?? error.message);
}
