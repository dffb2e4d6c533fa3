import { type Config, formatProblems, loadConfig } from '../config/index.ts';

/** Ends a command with a sentence for the person and exit code 1; no stack, because nothing is broken in the program. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** A command line that cannot be meant: one sentence and exit code 2, before anything is done. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Settings from the environment and `.env`. @throws CommandError with every problem at once, UsageError when the command line made one */
export function settings(overrides: Readonly<Record<string, string | undefined>> = {}): Config {
  const given = Object.fromEntries(Object.entries(overrides).filter(([, value]) => value !== undefined));
  const result = loadConfig({ ...process.env, ...given }, process.cwd());
  if (!result.ok) {
    const isTyped = result.problems.some(({ key }) => Object.hasOwn(given, key));
    throw new (isTyped ? UsageError : CommandError)(formatProblems(result.problems));
  }
  return result.config;
}
