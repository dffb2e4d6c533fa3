import type { ArgDef, CommandDef } from 'citty';
import { EXAMPLES } from './examples.ts';

const INDENT = '  ';

/** What `--help` of a command prints. citty's own page names two words of a command at most, and has no examples. */
export interface HelpOptions {
  /** The whole command, such as `waxwing streams health`. */
  readonly path: string;
  readonly command: CommandDef;
  readonly isTerminal: boolean;
  /** Characters that a line may have; only usage and examples, which are there to be copied, may be longer. */
  readonly width: number;
}

export async function helpOf({ path, command, isTerminal, width }: HelpOptions): Promise<string> {
  const heading = (text: string) => (isTerminal ? `\u001b[1m${text}\u001b[22m` : text);
  const args = Object.entries(argsOf(command));
  const words = args.filter(([, arg]) => arg.type === 'positional');
  const options = args.filter(([, arg]) => arg.type !== 'positional');
  const children = Object.entries(childrenOf(command));
  const usage = [
    path,
    ...(children.length > 0 ? ['<command>'] : []),
    ...words.map(([name, arg]) => (isRequired(arg) ? `<${name}>` : `[${name}]`)),
    ...options.flatMap(([name, arg]) => (arg.required === true ? [`--${name} <${hintOf(name, arg)}>`] : [])),
    ...(options.some(([, arg]) => arg.required !== true) ? ['[options]'] : []),
  ];
  const columns = (rows: Rows) => linesOf(rows, width - INDENT.length);
  const sections: [title: string, lines: readonly string[]][] = [
    ['Usage', [usage.join(' ')]],
    ['Commands', columns(await Promise.all(children.map(async ([name, child]) => [name, await descriptionOf(child)])))],
    ['Arguments', columns(words.map(([name, arg]) => [`<${name}>`, arg.description ?? '']))],
    ['Options', columns(options.flatMap(([name, arg]) => optionLines(name, arg)))],
    ['Examples', EXAMPLES[path] ?? []],
    ...(children.length > 0 ? [['', [`${path} <command> --help tells more.`]] satisfies [string, string[]]] : []),
  ];
  const shown = sections.filter(([, lines]) => lines.length > 0);
  return [
    ...wrapped(await descriptionOf(command), width),
    ...shown.flatMap(([title, lines]) => [
      '',
      ...(title === '' ? lines : [heading(title), ...lines.map((line) => `${INDENT}${line}`)]),
    ]),
  ].join('\n');
}

type Child = CommandDef | (() => Promise<CommandDef>);

export function childrenOf(command: CommandDef): Readonly<Record<string, Child>> {
  return (command.subCommands ?? {}) as Record<string, Child>;
}

export function argsOf(command: CommandDef): Readonly<Record<string, ArgDef>> {
  return (command.args ?? {}) as Record<string, ArgDef>;
}

/** Positional words are required unless they say otherwise; options are not unless they say so. */
export function isRequired(arg: ArgDef): boolean {
  if (arg.default !== undefined) return false;
  return arg.type === 'positional' ? arg.required !== false : arg.required === true;
}

export function hintOf(name: string, arg: ArgDef): string {
  return arg.valueHint ?? name;
}

async function descriptionOf(child: Child): Promise<string> {
  const { meta } = typeof child === 'function' ? await child() : child;
  return ((meta ?? {}) as { description?: string }).description ?? '';
}

function optionLines(name: string, arg: ArgDef): [string, string][] {
  const fallback = arg.type === 'boolean' || arg.default === undefined ? '' : ` (default: ${String(arg.default)})`;
  if (arg.type === 'boolean' && arg.default === true) return [[`--no-${name}`, arg.negativeDescription ?? '']];
  const label = arg.type === 'boolean' ? `--${name}` : `--${name} <${hintOf(name, arg)}>`;
  return [[label, `${arg.description ?? ''}${fallback}`]];
}

type Rows = readonly (readonly [string, string] | string[])[];

/** Names in one column, what is said of them in the next, wrapped there. */
function linesOf(rows: Rows, width: number): string[] {
  const nameWidth = Math.max(0, ...rows.map(([name = '']) => name.length)) + INDENT.length;
  return rows.flatMap(([name = '', text = '']) =>
    wrapped(text, width - nameWidth).map((line, n) => ((n === 0 ? name : '').padEnd(nameWidth) + line).trimEnd()),
  );
}

/** Where there is little room, a column is this wide all the same. */
const TEXT_WIDTH_MIN = 30;

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    const longer = line === '' ? word : `${line} ${word}`;
    if (line === '' || longer.length <= Math.max(width, TEXT_WIDTH_MIN)) lines.splice(-1, 1, longer);
    else lines.push(word);
  }
  return lines;
}
