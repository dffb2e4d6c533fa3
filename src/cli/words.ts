import { parseArgs } from 'node:util';
import type { ArgDef, CommandDef } from 'citty';
import { argsOf, hintOf, isRequired } from './help.ts';
import { UsageError } from './settings.ts';

/**
 * Refuses words that a command does not know, before anything is done. citty passes over them, and a misspelt `--tenant`
 * of a redrive would then mean all tenants, a text without quotes its first word.
 *
 * @param path the whole command, such as `waxwing dead-letters redrive`
 * @throws UsageError with one sentence and the way to the help
 */
export function checkWords(path: string, command: CommandDef, rest: readonly string[]): void {
  // A command without a list of arguments hands all words on, as the bench does.
  if (command.args === undefined) return;
  const args = argsOf(command);
  const refuse = (sentence: string) => new UsageError(`${sentence} See: ${path} --help`);
  const named = Object.entries(args).filter(([, arg]) => arg.type !== 'positional');
  const options = Object.fromEntries(
    named.map(([name, arg]) => [name, { type: arg.type === 'boolean' ? ('boolean' as const) : ('string' as const) }]),
  );
  const { tokens } = parseArgs({ args: [...rest], options, strict: false, allowPositionals: true, tokens: true });
  const seen = new Set<string>();
  const words: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const problem = problemOf(token, args);
    if (problem !== undefined) throw refuse(problem);
    seen.add(token.name);
  }
  const places = Object.entries(args).filter(([, arg]) => arg.type === 'positional');
  const missing = places.slice(words.length).find(([, arg]) => isRequired(arg));
  if (missing !== undefined) throw refuse(`<${missing[0]}> is missing: ${missing[1].description ?? ''}.`);
  const extra = words[places.length];
  if (extra !== undefined)
    throw refuse(`${JSON.stringify(extra)} is one word too many: put what has spaces between quotes.`);
  const wanted = named.find(([name, arg]) => isRequired(arg) && !seen.has(name));
  if (wanted !== undefined) throw refuse(`--${wanted[0]} is missing: ${wanted[1].description ?? ''}.`);
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
  readonly inlineValue?: boolean | undefined;
}

function problemOf(token: OptionToken, args: Readonly<Record<string, ArgDef>>): string | undefined {
  const { name, rawName, value, inlineValue } = token;
  const negated = name.startsWith('no-') ? args[name.slice('no-'.length)] : undefined;
  if (negated?.type === 'boolean') return undefined;
  const arg = Object.hasOwn(args, name) ? args[name] : undefined;
  if (arg === undefined || arg.type === 'positional') {
    const near = Object.keys(args).find((other) => isNear(other, name) && args[other]?.type !== 'positional');
    return `There is no option ${rawName}.${near === undefined ? '' : ` Did you mean --${near}?`}`;
  }
  if (arg.type === 'boolean') return value === undefined ? undefined : `${rawName} takes no value.`;
  const isForgotten = value === undefined || value === '' || (inlineValue !== true && value.startsWith('--'));
  return isForgotten ? `${rawName} needs a value: ${rawName} <${hintOf(name, arg)}>.` : undefined;
}

/** Is one word made of the other by a letter more, less or other, or by two neighbours that changed places. */
function isNear(left: string, right: string): boolean {
  const [short, long] = left.length <= right.length ? [left, right] : [right, left];
  if (long.length - short.length > 1) return false;
  let from = 0;
  while (from < short.length && short[from] === long[from]) from += 1;
  if (long.length > short.length) return short.slice(from) === long.slice(from + 1);
  const isSwapped = short[from] === long[from + 1] && short[from + 1] === long[from];
  return (
    short.slice(from + 1) === long.slice(from + 1) || (isSwapped && short.slice(from + 2) === long.slice(from + 2))
  );
}
