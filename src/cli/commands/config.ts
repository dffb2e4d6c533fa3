import { defineCommand } from 'citty';
import { formatProblems, loadConfig, printConfig } from '../../config/index.ts';
import { settings } from '../settings.ts';
import { json } from '../common-args.ts';

const check = defineCommand({
  meta: { name: 'check', description: 'Check all settings; exit 1 and every problem when some are wrong' },
  args: { json },
  run({ args }) {
    const result = loadConfig(process.env, process.cwd());
    const problems = result.ok ? [] : result.problems;
    if (args.json) {
      console.log(JSON.stringify({ ok: result.ok, problems, warnings: result.warnings }));
    } else {
      for (const warning of result.warnings) console.log(`warning: ${warning.key}: ${warning.text}`);
      console.log(result.ok ? 'All settings are right.' : formatProblems(problems));
    }
    return result.ok ? 0 : 1;
  },
});

const print = defineCommand({
  meta: { name: 'print', description: 'Print the settings in force, secrets hidden' },
  args: { json },
  run({ args }) {
    const printed = printConfig(settings());
    if (args.json) console.log(JSON.stringify(Object.fromEntries(printed.map(({ name, value }) => [name, value]))));
    else for (const { name, value } of printed) console.log(`${name}=${value ?? ''}`);
  },
});

export const config = defineCommand({
  meta: { name: 'config', description: 'Check or print the settings' },
  subCommands: { check, print },
});
