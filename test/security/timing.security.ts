import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROUND = fileURLToPath(new URL('processes/timing-round.ts', import.meta.url));

/** Where a process happens to lay its texts and code favours one of two all its life: each round has its own. */
async function round(what: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', ROUND, what]);
  return Number(stdout);
}

test.each(['a key', 'a signature'])(
  'F51 · the time of comparing %s does not tell how much of it was right',
  async (what) => {
    const rounds = [await round(what), await round(what), await round(what)];
    // Signed, and the one in the middle: other work on the machine throws single rounds, to either side.
    const t = Math.abs([...rounds].sort((a, b) => a - b)[1] ?? NaN);
    console.log(`F51: ${what}: t ${rounds.map((one) => one.toFixed(2)).join(', ')} in a process each`);
    expect(t).toBeLessThan(4.5);
  },
);
