import { type CommandDef, runCommand } from 'citty';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { EXAMPLES } from '../../src/cli/examples.ts';
import { argsOf, childrenOf, helpOf } from '../../src/cli/help.ts';
import { UsageError } from '../../src/cli/settings.ts';
import { checkWords } from '../../src/cli/words.ts';

async function tree(path: string, command: CommandDef): Promise<Map<string, CommandDef>> {
  const found = new Map([[path, command]]);
  for (const [name, child] of Object.entries(childrenOf(command))) {
    const loaded = typeof child === 'function' ? await child() : child;
    for (const [below, one] of await tree(`${path} ${name}`, loaded)) found.set(below, one);
  }
  return found;
}

const all = await tree('waxwing', { meta: { description: 'Everything that there is' }, subCommands: COMMANDS });
const help = async (path: string, width = Infinity) =>
  await helpOf({ path, command: all.get(path) ?? expect.fail(path), isTerminal: false, width });

/** The words of a line as a shell splits it, without what follows them there. */
function wordsOf(line: string): string[] {
  const [words = ''] = line.split(/ +[#>] /);
  return (words.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ''));
}

describe('waxwing <command> --help', () => {
  it('names the whole command, says what it does and what every option is, and gives an example', async () => {
    for (const [path, command] of all) {
      const text = await help(path);
      expect(text.split('\n')[0], path).toMatch(/^[A-Z].{10,}/);
      expect(text, path).toContain(`  ${path}`);
      for (const [name, arg] of Object.entries(argsOf(command))) {
        expect(text, path).toContain(name);
        expect(arg.description, `${path} ${name}`).toMatch(/\w{2}/);
      }
      expect(EXAMPLES[path], path).toBeDefined();
    }
    expect(Object.keys(EXAMPLES).filter((path) => !all.has(path))).toEqual([]);
  });

  it('has examples that the program would take as they stand', () => {
    for (const line of Object.values(EXAMPLES).flat()) {
      const words = wordsOf(line);
      const length = words.findIndex((_, index) => !all.has(words.slice(0, index + 1).join(' ')));
      const path = words.slice(0, length < 0 ? words.length : length).join(' ');
      const command = all.get(path) ?? expect.fail(line);
      expect(command.run, line).toBeDefined();
      expect(() => checkWords(path, command, length < 0 ? [] : words.slice(length)), line).not.toThrow();
    }
  });

  it('fits a terminal of 80 characters, and says the same there; what is there to be copied stays whole', async () => {
    for (const path of all.keys()) {
      const lines = (await help(path, 80)).split('\n');
      const copied = [...(EXAMPLES[path] ?? []), lines[lines.indexOf('Usage') + 1]?.trim()];
      const tooLong = lines.filter((line) => line.length > 80 && !copied.includes(line.trim()));
      expect(tooLong, path).toEqual([]);
      const said = (text: string) => text.split(/\s+/).join(' ');
      expect(said(lines.join('\n')), path).toBe(said(await help(path)));
    }
  });

  it('has no colours where nobody looks', async () => {
    expect(await help('waxwing send')).not.toMatch(/\u001b/);

    expect(await helpOf({ path: 'waxwing doctor', command: {}, isTerminal: true, width: 80 })).toMatch(
      /\u001b\[1mUsage/,
    );
  });
});

describe('the words of a command line', () => {
  const check = (path: string, ...words: string[]) => checkWords(path, all.get(path) ?? expect.fail(path), words);

  it('are refused when the command has no such option, with the one that was probably meant', () => {
    expect(() => check('waxwing dead-letters redrive', '--tennant', 'salon1', '--all', '--yes')).toThrow(
      'There is no option --tennant. Did you mean --tenant? See: waxwing dead-letters redrive --help',
    );
    expect(() => check('waxwing start', '--prot=3001')).toThrow('Did you mean --port?');
    expect(() => check('waxwing start', '--id', '1')).toThrow('There is no option --id. See:');
    expect(() => check('waxwing start', '-p', '1')).toThrow('There is no option -p.');
    expect(() => check('waxwing explain', '--id=1')).toThrow('There is no option --id.');
  });

  it('are refused when one is too many, as a text without quotes has', () => {
    expect(() => check('waxwing send', '+447700900100', 'Your', 'table')).toThrow('"table" is one word too many');
    expect(() => check('waxwing send', '+447700900100', '--', '--hello')).not.toThrow();
  });

  it('are refused when one is missing or an option has no value', () => {
    expect(() => check('waxwing explain')).toThrow('<id> is missing: Id of the message.');
    expect(() => check('waxwing webhooks replay')).toThrow('--from is missing');
    expect(() => check('waxwing start', '--port')).toThrow('--port needs a value: --port <number>.');
    expect(() => check('waxwing start', '--port', '--role', 'web')).toThrow('--port needs a value');
    expect(() => check('waxwing doctor', '--json=yes')).toThrow('--json takes no value.');
    expect(() => check('waxwing demo', '--no-traffic')).not.toThrow();
  });

  it('are refused when a value cannot be meant, with the exit code of a wrong command line', async () => {
    for (const [path, ...words] of [
      ['waxwing start', '--role', 'wrker'],
      ['waxwing send', '+447700900100', 'Hello', '--priority', '11'],
      ['waxwing send', '+447700900100', 'Hello', '--wait', 'long'],
      ['waxwing send', '+447700900100', 'Hello', '--url', 'there'],
      ['waxwing token', '--role', 'root'],
      ['waxwing token', '--hours', '0'],
      ['waxwing key create', 'till system'],
      ['waxwing key rotate', '0199f0a4', '--hours', '721'],
      ['waxwing user add', 'ann', '--role', 'root', '--generate'],
      ['waxwing user add', 'a nn', '--generate'],
      ['waxwing dead-letters redrive', '--yes'],
      ['waxwing events replay', '--yes'],
      ['waxwing webhooks replay', '--from', 'yesterday'],
      ['waxwing webhooks replay', '--from', '2027-01-31T08:00:00Z', '--to', '2027-01-31T08:00:00Z'],
      ['waxwing webhooks replay', '--from', '2027-01-31T08:00:00Z', '--provider', 'cluod', '--dry-run'],
    ] as const) {
      const command = all.get(path) ?? expect.fail(path);
      const line = [path, ...words].join(' ');
      await expect(runCommand(command, { rawArgs: words.slice() }), line).rejects.toBeInstanceOf(UsageError);
    }
  });
});
