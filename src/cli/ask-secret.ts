import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { CommandError } from './settings.ts';

/**
 * A secret that a person types, not shown and asked twice; without a terminal the first line of the standard input.
 * Never an argument of the command: those stand in the shell's history and in the list of processes.
 */
export async function askSecret(prompt: string, again: string): Promise<string> {
  if (!process.stdin.isTTY) return await firstLine();
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    process.stderr.write(prompt);
    const first = await lines.question('');
    process.stderr.write(`\n${again}`);
    const second = await lines.question('');
    process.stderr.write('\n');
    if (first !== second) throw new CommandError('The two are not the same; nothing was changed.');
    return first;
  } finally {
    lines.close();
  }
}

async function firstLine(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8').split(/\r?\n/)[0] ?? '';
}
