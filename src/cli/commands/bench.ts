import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineCommand } from 'citty';
import { CommandError } from '../settings.ts';

/** The bench compares with other queues, which are development dependencies: it runs from a clone of the repository. */
export const bench = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measure the engine beside BullMQ, GroupMQ and raw streams (from a clone); options are passed on',
  },
  async run({ rawArgs }) {
    const main = fileURLToPath(new URL('../../../bench/main.ts', import.meta.url));
    if (!existsSync(main))
      throw new CommandError('The bench is in the repository, not in the package: clone it and run npm run bench.');
    const child = spawn(process.execPath, ['--import', 'tsx', main, ...rawArgs], { stdio: 'inherit' });
    return await new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 1)));
  },
});
