import type { Emulator, LedgerEntry } from '../../emulator/index.ts';
import type { Counters } from '../../engine/contract.ts';

/** What the emulator's ledger says about the promises: it, not our own counters, is the judge. */
export interface Verdict {
  readonly taken: number;
  readonly duplicates: number;
  readonly perSecondMax: number;
  readonly pairGapMinMs: number | null;
  readonly throughputHits: number;
}

export function judge(emulator: Emulator): Verdict {
  const entries = emulator.ledger().filter((entry) => entry.kind === 'message');
  const stats = emulator.stats();
  const taken = entries.filter((entry) => entry.taken);
  return {
    taken: taken.length,
    duplicates: taken.length - new Set(taken.map(messageIdOf)).size,
    perSecondMax: Math.max(0, ...stats.numbers.map((number) => number.perSecondMax)),
    pairGapMinMs: stats.pairGapMinMs,
    throughputHits: stats.numbers.reduce((sum, number) => sum + number.throughputHits, 0),
  };
}

/** The tag is `v1.<message id>.<attempt>.<mac>`. */
function messageIdOf(entry: LedgerEntry): string {
  return entry.tag?.split('.')[1] ?? `untagged ${entry.n}`;
}

export function summary(counters: Counters, verdict: Verdict): string {
  const waiting =
    counters.queued + counters.scheduled + counters.deferred + counters.inFlight + counters.unknown + counters.held;
  const gap = verdict.pairGapMinMs === null ? '–' : `${Math.round(verdict.pairGapMinMs)} ms`;
  return [
    '',
    'What became of it',
    `  accepted ${counters.accepted} = sent ${counters.sent} + failed ${counters.failed} + still waiting ${waiting}`,
    'What the emulator saw',
    `  messages taken                        ${verdict.taken}`,
    `  duplicates                            ${verdict.duplicates}`,
    `  most in any second (limit 80)         ${verdict.perSecondMax}`,
    `  least time between two to one person  ${gap}`,
    `  refused for going too fast            ${verdict.throughputHits}`,
    '',
    'What still waits is kept and goes on with the next start on the same data folder.',
  ].join('\n');
}
