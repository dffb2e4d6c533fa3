import type {
  BookingFields,
  BookingRecord,
  BookingRevision,
  PlannedReminder,
  ReminderRecord,
} from '../record/index.ts';
import { canonicalContact } from '../util/canonical-contact.ts';

/**
 * What a change of a booking does to its reminders: a new time is reminded of anew; another customer is reminded
 * instead of the one before; any other change leaves what is due or done, but for kinds that are no longer wanted.
 *
 * @param kinds those wanted from now on; default: as before
 * @param plan when each is due
 */
export function reviseBooking(
  before: BookingRecord,
  change: Partial<BookingFields>,
  kinds: readonly string[] | undefined,
  plan: (kinds: readonly string[], fields: BookingFields) => PlannedReminder[],
  nowMs: number,
): BookingRevision {
  const fields: BookingFields = { ...before, ...change };
  const all = before.reminders.map(({ kind }) => kind);
  const wanted = kinds ?? before.reminders.filter(({ status }) => status !== 'cancelled').map(({ kind }) => kind);
  const planned = plan(wanted, fields);
  if (fields.startsAtMs !== before.startsAtMs) return { fields, reminders: planned, kept: [], outdated: all };
  const kept = keptOf(before.reminders, planned, nowMs);
  const again = isSamePerson(fields, before) ? [] : dueAgain(kept, fields, nowMs);
  const planAnew = [...planned.filter(({ kind }) => !kept.some((one) => one.kind === kind)), ...again];
  return {
    fields,
    reminders: planAnew,
    kept: kept.map(({ kind }) => kind).filter((kind) => !again.some((one) => one.kind === kind)),
    outdated: isSamePerson(fields, before) ? all.filter((kind) => !wanted.includes(kind)) : all,
  };
}

function isSamePerson(one: BookingFields, other: BookingFields): boolean {
  return canonicalContact(one.customerPhone) === canonicalContact(other.customerPhone);
}

/**
 * Those that a change leaves as they are, when the booking's time stays: what became of it, a time that is the same,
 * and one that is due already. To judge that anew would drop a reminder only because its job has not run yet.
 */
function keptOf(
  before: readonly ReminderRecord[],
  planned: readonly PlannedReminder[],
  nowMs: number,
): readonly ReminderRecord[] {
  const dueOf = new Map(planned.map(({ kind, dueAtMs }) => [kind, dueAtMs]));
  return before.filter(({ kind, status, dueAtMs }) => {
    if (!dueOf.has(kind) || status === 'cancelled') return false;
    return status === 'sent' || dueAtMs === dueOf.get(kind) || dueAtMs <= nowMs;
  });
}

/**
 * What is due at once for a customer who has a new number: what waits for its job, which may be sending it to the old
 * number in this moment, and of what went there or failed there the last one. Two about the same booking in the same
 * minute would be one too many.
 */
function dueAgain(kept: readonly ReminderRecord[], { startsAtMs }: BookingFields, nowMs: number): PlannedReminder[] {
  if (startsAtMs <= nowMs) return [];
  const due = kept.filter(({ status, dueAtMs }) => status !== 'skipped' && dueAtMs <= nowMs);
  const lastMs = Math.max(...due.map(({ dueAtMs }) => dueAtMs));
  return due
    .filter(({ status, dueAtMs }) => status === 'scheduled' || dueAtMs === lastMs)
    .map(({ kind, dueAtMs }) => ({ kind, dueAtMs, skippedBecause: null }));
}
