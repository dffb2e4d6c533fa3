import { mkdirSync, writeFileSync } from 'node:fs';
import type { Bounds } from './limits.ts';
import type { Verdict } from './checker.ts';

/** One line of the table: a fault and what it cost. */
export interface FaultRow {
  readonly id: string;
  readonly title: string;
  readonly passed: boolean;
  readonly seed: number;
  readonly scale: number;
  readonly ms: number;
  readonly accepted: number;
  readonly lost: number;
  readonly dup_unambiguous: number;
  readonly dup_ambiguous: number;
  readonly reordered: number;
  /** `seen/allowed`: requests open at once on a sender, of a tenant. */
  readonly cap_max: string;
  /** `seen/allowed` attempts in any second. */
  readonly pace_max: string;
  readonly stuck: number;
  /** What the catalogue asks to report beside these. */
  readonly report: Readonly<Record<string, string | number>>;
}

declare module 'vitest' {
  interface TaskMeta {
    faultRows?: FaultRow[];
  }
}

export function rowOf(
  base: Pick<FaultRow, 'id' | 'title' | 'passed' | 'seed' | 'scale' | 'ms' | 'report'>,
  verdict: Verdict,
  bounds: Bounds,
): FaultRow {
  const { limits } = verdict;
  const rate = bounds.ratePerSecond > 0 ? String(bounds.ratePerSecond + bounds.burst) : '–';
  return {
    ...base,
    accepted: verdict.accepted,
    lost: verdict.lost,
    dup_unambiguous: verdict.dupUnambiguous,
    dup_ambiguous: verdict.dupAmbiguous,
    reordered: verdict.reordered,
    cap_max: `${limits.senderOpenMax}/${bounds.senderConcurrency} ${limits.tenantOpenMax}/${bounds.tenantConcurrency}`,
    pace_max: `${limits.perSecondMax}/${rate}`,
    stuck: verdict.stuck,
  };
}

const COLUMNS = [
  'accepted',
  'lost',
  'dup_unambiguous',
  'dup_ambiguous',
  'reordered',
  'cap_max',
  'pace_max',
  'stuck',
] as const satisfies readonly (keyof FaultRow)[];

/** The line that a test prints. */
export function lineOf(row: FaultRow): string {
  const figures = COLUMNS.map((column) => `${column} ${row[column]}`).join(', ');
  return `${row.id} ${row.passed ? 'holds' : 'BROKEN'}: ${figures}${reportOf(row) === '' ? '' : ` · ${reportOf(row)}`}`;
}

function reportOf(row: FaultRow): string {
  return Object.entries(row.report)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

export function tableOf(rows: readonly FaultRow[]): string {
  const head = ['id', 'fault', ...COLUMNS, 'seconds', 'also', ''];
  const lines = rows.map((row) => [
    row.id,
    row.title,
    ...COLUMNS.map((column) => String(row[column])),
    (row.ms / 1000).toFixed(1),
    reportOf(row),
    row.passed ? 'holds' : '**BROKEN**',
  ]);
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Writes `<name>.json` and `<name>.md` into a folder. */
export function writeResults(folder: string, name: string, rows: readonly FaultRow[]): void {
  mkdirSync(folder, { recursive: true });
  const sum = (column: 'accepted' | 'lost' | 'dup_unambiguous' | 'dup_ambiguous' | 'reordered' | 'stuck'): number =>
    rows.reduce((total, row) => total + row[column], 0);
  const totals = {
    accepted: sum('accepted'),
    lost: sum('lost'),
    dup_unambiguous: sum('dup_unambiguous'),
    dup_ambiguous: sum('dup_ambiguous'),
    reordered: sum('reordered'),
    stuck: sum('stuck'),
  };
  const { seed, scale } = rows[0] ?? { seed: 0, scale: 0 };
  const at = new Date().toISOString();
  writeFileSync(
    `${folder}/${name}.json`,
    `${JSON.stringify({ at, seed, scale, node: process.version, totals, rows }, null, 2)}\n`,
  );
  const bound = totals.accepted === 0 ? '' : ` (95 %: fewer than ${(3 / totals.accepted).toExponential(1)} of all)`;
  const text = `# Fault tests

${at}, seed ${seed}, scale ${scale} (1 = the catalogue's counts), Node ${process.version}.
${totals.lost} lost, ${totals.dup_unambiguous} duplicates without ambiguity and ${totals.reordered} out of order seen in ${totals.accepted} accepted messages${bound}.
\`cap_max\`: most requests at once on a sender and of a tenant, each against its limit. \`pace_max\`: most attempts in any second against rate + burst; what counts is every window, so a start-by limit may put a few above it.

${tableOf(rows)}
`;
  writeFileSync(`${folder}/${name}.md`, text);
}
