import type { ArgDef, CommandDef } from 'citty';
import { EXAMPLES } from './examples.ts';

/** What `--help` of a command prints. citty's own page names two words of a command at most, and has no examples. */
export interface HelpOptions {
  /** The whole command, such as `waxwing streams health`. */
  readonly path: string;
  readonly command: CommandDef;
  readonly isTerminal: boolean;
}

export async function helpOf({ path, command, isTerminal }: HelpOptions): Promise<string> {
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
    await descriptionOf(command),
    ...shown.flatMap(([title, lines]) => [
      '',
      ...(title === '' ? lines : [heading(title), ...lines.map((line) => `  ${line}`)]),
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

function columns(rows: readonly (readonly [string, string] | string[])[]): string[] {
  const width = Math.max(0, ...rows.map(([name = '']) => name.length));
  return rows.map(([name = '', text = '']) => `${name.padEnd(width)}  ${text}`.trimEnd());
}
