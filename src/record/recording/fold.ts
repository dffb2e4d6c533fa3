import type { AcceptedColumns, AttemptColumns, Change, EngineStep } from './prepare.ts';

/** A message that is new in this batch, with all that happened to it in the batch. */
export interface NewRow {
  readonly id: string;
  readonly shard: number;
  readonly accepted: AcceptedColumns;
  readonly change: Change;
}

/** What a batch changes, a row per message: an update of the same row twice in one statement would lose one. */
export interface Folded {
  readonly inserts: readonly NewRow[];
  readonly updates: readonly { readonly id: string; readonly change: Change }[];
  readonly attempts: readonly AttemptColumns[];
}

/**
 * Joins the steps of each message, in the order of the log. A message that is accepted and sent within one batch is
 * written once, in its last state.
 */
export function fold(steps: readonly EngineStep[]): Folded {
  const messages = new Map<string, { shard: number; accepted: AcceptedColumns | null; change: Change }>();
  const attempts: AttemptColumns[] = [];
  for (const step of steps) {
    const known = messages.get(step.messageId);
    messages.set(step.messageId, {
      shard: step.logged.position.shard,
      accepted: known?.accepted ?? step.accepted,
      change: known === undefined ? step.change : join(known.change, step.change),
    });
    if (step.attempt !== null) attempts.push(step.attempt);
  }
  const inserts: NewRow[] = [];
  const updates: { id: string; change: Change }[] = [];
  for (const [id, { shard, accepted, change }] of messages) {
    if (accepted === null) updates.push({ id, change });
    else inserts.push({ id, shard, accepted, change });
  }
  return { inserts, updates, attempts };
}

function join(earlier: Change, later: Change): Change {
  const attempts = Math.max(earlier.attempts ?? 0, later.attempts ?? 0);
  // Only the last step tells whether a person must decide.
  return { ...earlier, ...later, held: later.held ?? false, ...(attempts > 0 ? { attempts } : {}) };
}
