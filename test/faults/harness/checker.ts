import type { Counters } from '../../../src/engine/contract.ts';
import type { CircuitEvent } from '../../../src/model/events.ts';
import type { MessageHistory } from './events.ts';
import { measureLimits, PAIR_TOLERANCE_MS, type Bounds, type LimitReport } from './limits.ts';
import type { OpRecord } from './load.ts';
import type { LedgerEntry } from './provider.ts';

/** A time in which a worker could not tell what it knew: it was dead, stood still, or was cut off. */
export interface Outage {
  readonly worker: string;
  readonly fromMs: number;
  /** Null for a worker that never came back. */
  readonly toMs: number | null;
}

/** A time of which the queue knows nothing any more: a server that lacked it took the place of one that had it. */
export interface Forgotten {
  readonly fromMs: number;
  readonly toMs: number;
  /** Also what was accepted then, as it is stated of a replica in the mode `disk`. */
  readonly accepts: boolean;
}

export interface Evidence {
  readonly ops: readonly OpRecord[];
  readonly ledger: readonly LedgerEntry[];
  /** By message id; null when a recorder has taken the events away. */
  readonly histories: ReadonlyMap<string, MessageHistory> | null;
  /** Openings and closings of circuits, in order; empty when a recorder has taken the events away. */
  readonly circuits: readonly CircuitEvent[];
  readonly counters: Counters | null;
  /** What a recount of Redis against its own counters found. */
  readonly audit: readonly string[];
  readonly outages: readonly Outage[];
  readonly forgotten?: readonly Forgotten[];
  readonly bounds: Bounds;
}

export interface Verdict {
  readonly accepted: number;
  readonly lost: number;
  /** Accepted in a forgotten time of which that is stated, and lost: not among `lost`. */
  readonly lostAsStated: number;
  readonly dupUnambiguous: number;
  readonly dupAmbiguous: number;
  readonly reordered: number;
  readonly limits: LimitReport;
  readonly stuck: number;
  /** Terminal without being sent. */
  readonly failed: number;
  readonly held: number;
  /** Attempts whose outcome was lost. */
  readonly ambiguous: number;
  /** Most times that the provider took one message. */
  readonly takenMax: number;
  readonly audit: readonly string[];
  /** Names of operations, for a failure's explanation. */
  readonly examples: { readonly lost: string[]; readonly dup: string[]; readonly reordered: string[]; stuck: string[] };
}

/** A result that was known is told to Redis within this time, unless Redis or the link is away. */
const SETTLE_MS_MAX = 1000;

/** Jepsen's way: from what clients were told, what the provider has, and what the system says in the end. */
export function check(evidence: Evidence): Verdict {
  const { ops, ledger, histories, bounds, audit, counters } = evidence;
  const known = new Map(ops.map((op) => [op.op, op]));
  const byOp = new Map<string, LedgerEntry[]>();
  for (const entry of [...ledger].sort((a, b) => a.atMs - b.atMs)) {
    byOp.set(entry.op, [...(byOp.get(entry.op) ?? []), entry]);
  }
  const examples: Verdict['examples'] = { lost: [], dup: [], reordered: findReordered(evidence), stuck: [] };
  let [lostAsStated, failed, held, dupUnambiguous, dupAmbiguous, takenMax] = [0, 0, 0, 0, 0, 0];
  const ok = ops.filter(({ state }) => state === 'ok');
  for (const op of ok) {
    const taken = (byOp.get(op.op) ?? []).some((entry) => entry.taken);
    const history = op.id === undefined ? undefined : histories?.get(op.id);
    const fate = fateOf(taken, history, histories !== null);
    if (fate === 'lost' && isForgotten(evidence, op.acceptedAtMs, true)) lostAsStated += 1;
    else if (fate === 'lost') examples.lost.push(op.op);
    if (fate === 'stuck') examples.stuck.push(op.op);
    if (fate === 'failed') failed += 1;
    if (fate === 'held') held += 1;
  }
  for (const [op, entries] of byOp) {
    const takes = entries.filter((entry) => entry.taken);
    takenMax = Math.max(takenMax, takes.length);
    for (let at = 1; at < takes.length; at += 1) {
      const [first, again] = [takes[at - 1], takes[at]];
      if (first === undefined || again === undefined) continue;
      if (isExcused(first, again, evidence)) dupAmbiguous += 1;
      else {
        dupUnambiguous += 1;
        const laterMs = Math.round(again.atMs - first.atMs);
        examples.dup.push(`${op} (by ${first.worker}, and ${laterMs} ms later by ${again.worker})`);
      }
    }
  }
  const unended = counters === null ? 0 : waitingOf(counters);
  return {
    accepted: ok.length,
    lost: examples.lost.length,
    lostAsStated,
    dupUnambiguous,
    dupAmbiguous,
    reordered: examples.reordered.length,
    limits: measureLimits(ledger, (entry) => known.get(entry.op)?.tenant ?? '?', bounds),
    stuck: Math.max(examples.stuck.length, unended),
    failed,
    held,
    ambiguous: [...(histories?.values() ?? [])].reduce((sum, { unknown }) => sum + unknown, 0),
    takenMax,
    audit,
    examples,
  };
}

/** What waits for something other than a person. */
export function waitingOf(counters: Counters): number {
  const { queued, scheduled, deferred, inFlight, unknown } = counters;
  return queued + scheduled + deferred + inFlight + unknown;
}

type Fate = 'sent' | 'failed' | 'held' | 'lost' | 'stuck';

function fateOf(taken: boolean, history: MessageHistory | undefined, hasHistories: boolean): Fate {
  if (!hasHistories) return taken ? 'sent' : 'lost';
  if (history === undefined || !history.accepted) return 'lost';
  // The engine's word alone proves nothing: the provider must have it.
  if (history.end === 'sent') return taken ? 'sent' : 'lost';
  if (history.end !== undefined) return 'failed';
  return history.held ? 'held' : 'stuck';
}

/** Is a second delivery one that the README allows: the first one's outcome was lost, and the engine had noticed it. */
function isExcused(first: LedgerEntry, again: LedgerEntry, evidence: Evidence): boolean {
  const { histories, outages } = evidence;
  if (isForgotten(evidence, first.endAtMs ?? first.atMs, false)) return true;
  const history = histories?.get(first.messageId);
  if (histories !== null && (history === undefined || history.unknown === 0)) return false;
  if (!first.answered) return true;
  const untilMs = (first.endAtMs ?? first.atMs) + SETTLE_MS_MAX;
  // The bytes of a worker that had been stopped may come after another worker's.
  const suspects = [first, ...(again.attempt < first.attempt ? [again] : [])];
  return suspects.some(({ worker, atMs }) =>
    outages.some(
      (outage) =>
        outage.worker === worker && outage.fromMs <= untilMs && (outage.toMs ?? outage.fromMs) + SETTLE_MS_MAX >= atMs,
    ),
  );
}

/** Is this time, on the steady clock, one that the queue has forgotten. */
function isForgotten({ forgotten = [] }: Evidence, atMs: number | undefined, isAccept: boolean): boolean {
  if (atMs === undefined) return false;
  return forgotten.some(({ fromMs, toMs, accepts }) => atMs >= fromMs && atMs <= toMs && (accepts || !isAccept));
}

/** Attempts that reached the provider after an attempt for a later message of their conversation. */
function findReordered(evidence: Evidence): string[] {
  const { ledger, histories } = evidence;
  const reachedFirst = new Map<string, number>();
  const reachedAgain = new Map<string, number>();
  const found: string[] = [];
  const forgotten = new Set<string>();
  for (const { op, messageId, atMs, endAtMs } of [...ledger].sort((a, b) => a.atMs - b.atMs)) {
    // The end of a conversation that was forgotten goes once more, from its beginning and in order.
    const reached = forgotten.has(op) ? reachedAgain : reachedFirst;
    if (isForgotten(evidence, endAtMs ?? atMs, false)) forgotten.add(op);
    const at = op.lastIndexOf('#');
    const [conversation, n] = [op.slice(0, at), Number(op.slice(at + 1))];
    const last = reached.get(conversation) ?? 0;
    // The named exception: a message that went to the slow schedule lets its conversation go on.
    if (n < last && (histories?.get(messageId)?.deferred ?? 0) === 0) found.push(op);
    reached.set(conversation, Math.max(last, n));
  }
  return found;
}

/** What the README promises of every fault, as sentences about what is not so. */
export function brokenPromises(verdict: Verdict, bounds: Bounds): string[] {
  const { limits, examples } = verdict;
  const some = (list: readonly string[]): string => list.slice(0, 5).join(', ');
  const broken: string[] = [];
  const say = (isBroken: boolean, sentence: string): void => {
    if (isBroken) broken.push(sentence);
  };
  say(verdict.lost > 0, `${verdict.lost} accepted messages are lost: ${some(examples.lost)}`);
  say(verdict.dupUnambiguous > 0, `${verdict.dupUnambiguous} duplicates without ambiguity: ${some(examples.dup)}`);
  say(verdict.reordered > 0, `${verdict.reordered} attempts out of order: ${some(examples.reordered)}`);
  say(verdict.stuck > 0, `${verdict.stuck} messages are stuck: ${some(examples.stuck)}`);
  say(
    limits.senderOpenMax > bounds.senderConcurrency,
    `${limits.senderOpenMax} requests at once on a sender, ${bounds.senderConcurrency} allowed`,
  );
  say(
    limits.tenantOpenMax > bounds.tenantConcurrency,
    `${limits.tenantOpenMax} requests at once of a tenant, ${bounds.tenantConcurrency} allowed`,
  );
  say(limits.overPace > 0, `the pace was exceeded by ${limits.overPace.toFixed(2)} attempts in the worst window`);
  const gap = limits.pairGapMsMin;
  say(
    gap !== null && gap < bounds.pairGapMs - PAIR_TOLERANCE_MS,
    `two attempts of a pair were ${gap?.toFixed(1) ?? ''} ms apart, ${bounds.pairGapMs} ms is the gap`,
  );
  for (const finding of verdict.audit) broken.push(`audit of Redis: ${finding}`);
  return broken;
}
