import { parseArgs } from 'node:util';
import { SECTION_NAMES, type SectionName } from './section.ts';

export interface BenchOptions {
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly messages: number;
  readonly sections: readonly SectionName[];
  readonly isJson: boolean;
  /** Folder for latest.json and latest.svg, or undefined to write none. */
  readonly folder: string | undefined;
}

export const HELP = `Measures the send engine beside BullMQ, GroupMQ and raw Redis streams, on private Redis servers.

  npm run bench -- [options]

  --quick           a look in about a minute and a half; its figures say little
  --rounds N        interleaved rounds per configuration (11; 1 with --quick)
  --messages N      messages of one turn (8000; 1500 with --quick)
  --only NAMES      ${SECTION_NAMES.join(', ')}; several with commas
  --out FOLDER      where latest.json and latest.svg go. A whole run writes to bench/results by itself;
                    one with --quick or --only writes only when this says where
  --json            print the result as JSON and nothing else
  --help
`;

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

function whole(name: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new UsageError(`--${name} must be a whole number from 1, not ${text}.`);
  return value;
}

function isSection(name: string): name is SectionName {
  return (SECTION_NAMES as readonly string[]).includes(name);
}

/**
 * @returns the options, or null when help was asked for
 * @throws UsageError
 */
export function readOptions(args: readonly string[], resultsFolder: string): BenchOptions | null {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean', default: false },
        rounds: { type: 'string' },
        messages: { type: 'string' },
        only: { type: 'string' },
        out: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return null;
  const names = values.only?.split(',').map((name) => name.trim());
  for (const name of names ?? []) {
    if (!isSection(name)) throw new UsageError(`--only knows ${SECTION_NAMES.join(', ')}, not "${name}".`);
  }
  const isWhole = !values.quick && names === undefined;
  return {
    isQuick: values.quick,
    rounds: whole('rounds', values.rounds, values.quick ? 1 : 11),
    messages: whole('messages', values.messages, values.quick ? 1500 : 8000),
    sections: SECTION_NAMES.filter((name) => names === undefined || names.includes(name)),
    isJson: values.json,
    folder: values.out ?? (isWhole ? resultsFolder : undefined),
  };
}
