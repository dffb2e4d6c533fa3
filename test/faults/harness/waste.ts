import type { CircuitEvent } from '../../../src/model/events.ts';
import type { LedgerEntry } from './provider.ts';

/** Calls that could not have succeeded, and of which the system knew it when they were made. */
export interface Waste {
  readonly calls: number;
  /** On a pair of which a refusal had told that it is closed. */
  readonly pair: number;
  /** On a number of which a refusal had told that it is closed. */
  readonly number: number;
  /** On a sender whose circuit was open; a probe after its time is none. */
  readonly circuit: number;
  /** Of all calls, 0 … 1. A call that was wasted twice over counts once. */
  readonly share: number;
}

const PAIR_CODE = 131056;

/**
 * By the provider's ledger. Known since the refusal left the provider, not since somebody read it: the strictest
 * reading, in which what was under way at that moment and arrived later is wasted too.
 */
export function measureWaste(ledger: readonly LedgerEntry[], circuits: readonly CircuitEvent[]): Waste {
  const byNumber = new Map(ledger.map((entry) => [entry.n, entry]));
  const isKnown = ({ closedBy, atMs }: LedgerEntry): boolean => {
    const told = closedBy === null ? undefined : byNumber.get(closedBy);
    return told?.endAtMs !== undefined && told.endAtMs !== null && told.endAtMs < atMs;
  };
  const closed = ledger.filter(isKnown);
  const whileOpen = inOpenCircuits(ledger, circuits);
  const all = new Set([...closed, ...whileOpen].map(({ n }) => n));
  return {
    calls: ledger.length,
    pair: closed.filter(({ code }) => code === PAIR_CODE).length,
    number: closed.filter(({ code }) => code !== PAIR_CODE).length,
    circuit: whileOpen.length,
    share: ledger.length === 0 ? 0 : all.size / ledger.length,
  };
}

function inOpenCircuits(ledger: readonly LedgerEntry[], circuits: readonly CircuitEvent[]): LedgerEntry[] {
  const found: LedgerEntry[] = [];
  for (const sender of new Set(circuits.map(({ messageId }) => messageId))) {
    const events = circuits.filter(({ messageId }) => messageId === sender).sort((a, b) => a.atMs - b.atMs);
    const calls = ledger.filter(({ phoneNumberId }) => phoneNumberId === `p-${sender}`);
    events.forEach(({ state, atMs, untilMs }, index) => {
      if (state !== 'open') return;
      const endMs = events[index + 1]?.atMs ?? Number.POSITIVE_INFINITY;
      const during = calls.filter((call) => call.atMs >= atMs && call.atMs < endMs).sort((a, b) => a.atMs - b.atMs);
      const probe = during.find((call) => call.atMs >= (untilMs ?? 0) - CLOCK_SLACK_MS);
      found.push(...during.filter((call) => call !== probe));
    });
  }
  return found;
}

/** Redis's clock and the ledger's are read in different processes, the latter from the process's start on. */
const CLOCK_SLACK_MS = 5;
