import { AppError, hasCode } from '../errors/app-error.ts';
import type {
  BookingFields,
  BookingRecord,
  Bookings as BookingStore,
  PlannedReminder,
  ReminderRecord,
} from '../record/index.ts';
import { newId } from '../util/ids.ts';
import { judgeReminder, type ReminderVerdict } from './judge.ts';
import type { QuietHours } from './local-time.ts';
import { planReminder } from './plan.ts';
import { reviseBooking } from './revise.ts';

/** Where reminders wait for their time; the job queue, seen from here. */
export interface ReminderQueue {
  schedule(booking: BookingRecord, kind: string, dueAtMs: number): Promise<void>;
  /** Safe when there is none. */
  cancel(booking: BookingRecord, kind: string): Promise<void>;
}

export interface BookingsOptions {
  readonly store: BookingStore;
  readonly reminders: ReminderQueue;
  /**
   * Cancels the message of a reminder while it waits in the send engine; one that has gone is left alone.
   * @returns false while it is on its way: should its attempt fail, it would wait again
   */
  readonly withdraw: (tenant: string, messageId: string) => Promise<boolean>;
  readonly quietHours: QuietHours | null;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}

type Accepted = Pick<ReminderRecord, 'status' | 'messageId'>;

export interface Bookings {
  /** @throws AppError `CONFLICT` for an id that exists */
  create(
    tenant: string,
    id: string | undefined,
    fields: BookingFields,
    kinds: readonly string[],
  ): Promise<BookingRecord>;
  /**
   * Changes what is given; reminders move along. A new time is reminded of again. Without a new time, a reminder that
   * is due already stays due.
   * @throws AppError `NOT_FOUND`, `CONFLICT` for a cancelled booking
   */
  change(
    tenant: string,
    id: string,
    fields: Partial<BookingFields>,
    kinds: readonly string[] | undefined,
  ): Promise<BookingRecord>;
  /** @throws AppError `NOT_FOUND` */
  cancel(tenant: string, id: string): Promise<BookingRecord>;
  /** @throws AppError `NOT_FOUND` */
  get(tenant: string, id: string): Promise<BookingRecord>;
  readonly list: BookingStore['list'];
  /** Asked by the reminder's job when it runs. */
  judge(tenant: string, id: string, kind: string): Promise<ReminderVerdict>;
  /**
   * Stamps booking and reminder with the message that was accepted for it.
   * @param judged the reminder as `judge` gave it, of the booking at `startsAtMs`
   * @returns false when the booking was cancelled or moved since it was judged: the message is withdrawn
   */
  reminded(
    tenant: string,
    id: string,
    kind: string,
    messageId: string,
    judged: { readonly generation: number; readonly startsAtMs: number },
  ): Promise<boolean>;
  readonly endReminder: BookingStore['endReminder'];
  /** Puts up again what is due soon, in case its job was lost between the record and the queue. @returns how many */
  sweep(): Promise<number>;
  /**
   * Withdraws what a change of a booking could not, because the send engine was away or the message was on its way.
   * One that fails keeps no other one waiting. @throws the first error, after all were tried
   */
  withdrawOwed(): Promise<void>;
}

const SWEEP_AHEAD_MS = 120_000;
const SWEEP_MAX = 500;
const WITHDRAWALS_MAX = 500;

export function createBookings(options: BookingsOptions): Bookings {
  const { store, reminders, withdraw, quietHours } = options;
  const now = options.now ?? Date.now;

  const plan = (kinds: readonly string[], fields: BookingFields): PlannedReminder[] =>
    [...new Set(kinds)].map((kind) => planReminder(kind, fields, quietHours, now()));

  /**
   * After the record is written, so the caller is not told that it was not: who repeats a booking without an id has
   * two. What is not put up here, the sweep puts up in time; what is not removed finds the record's word.
   */
  async function putUp(booking: BookingRecord): Promise<BookingRecord> {
    try {
      for (const { kind, status, dueAtMs } of booking.reminders) {
        if (status === 'scheduled') await reminders.schedule(booking, kind, dueAtMs);
        else if (status !== 'sent') await reminders.cancel(booking, kind);
      }
    } catch (error) {
      if (!hasCode(error, 'QUEUE_UNAVAILABLE', 'QUEUE_FULL')) throw error;
    }
    return booking;
  }

  /** @returns false while the message is on its way */
  async function settle(tenant: string, messageId: string): Promise<boolean> {
    const isDone = await withdraw(tenant, messageId);
    if (isDone) await store.settleWithdrawal(messageId);
    return isDone;
  }

  async function settleOwed(tenant: string, messageId: string): Promise<void> {
    if (!(await settle(tenant, messageId))) await store.postponeWithdrawal(messageId);
  }

  /**
   * What was accepted for a time that is no more, and may still wait for its turn. The record owes it already: what
   * cannot be withdrawn here and now, `withdrawOwed()` does.
   */
  async function withdrawSent(tenant: string, sent: readonly Accepted[]): Promise<void> {
    try {
      for (const { status, messageId } of sent)
        if (status === 'sent' && messageId !== null) await settle(tenant, messageId);
    } catch (error) {
      if (!hasCode(error, 'QUEUE_UNAVAILABLE', 'QUEUE_FULL', 'RECORD_UNAVAILABLE')) throw error;
    }
  }

  async function get(tenant: string, id: string): Promise<BookingRecord> {
    const booking = await store.get(tenant, id);
    if (booking === null) throw new AppError('NOT_FOUND', { detail: 'There is no such booking.' });
    return booking;
  }

  return {
    async create(tenant, id, fields, kinds) {
      return await putUp(await store.create(tenant, id ?? newId(now()), fields, plan(kinds, fields)));
    },

    async change(tenant, id, change, kinds) {
      let outdated: readonly ReminderRecord[] = [];
      const booking = await store.change(tenant, id, (before) => {
        const revision = reviseBooking(before, change, kinds, plan, now());
        outdated = before.reminders.filter(({ kind }) => revision.outdated.includes(kind));
        return revision;
      });
      if (booking !== null) {
        await withdrawSent(tenant, outdated);
        return await putUp(booking);
      }
      await get(tenant, id);
      throw new AppError('CONFLICT', { detail: 'The booking is cancelled: make a new one.' });
    },

    async cancel(tenant, id) {
      const booking = await store.cancel(tenant, id);
      if (booking === null) throw new AppError('NOT_FOUND', { detail: 'There is no such booking.' });
      await withdrawSent(tenant, booking.reminders);
      return await putUp(booking);
    },

    get,
    list: (tenant, query) => store.list(tenant, query),

    async judge(tenant, id, kind) {
      const { verdict, skipped } = judgeReminder(await store.get(tenant, id), kind, now(), quietHours);
      if (skipped !== undefined) {
        await store.endReminder(tenant, id, kind, 'skipped', skipped.reason, skipped.generation);
      }
      return verdict;
    },

    async reminded(tenant, id, kind, messageId, judged) {
      if (await store.stampSent(tenant, id, kind, messageId, judged)) return true;
      const booking = await store.get(tenant, id);
      const isStamped = booking?.reminders.some((one) => one.kind === kind && one.messageId === messageId) ?? false;
      if (!isStamped) {
        await store.oweWithdrawal(tenant, messageId);
        await withdrawSent(tenant, [{ status: 'sent', messageId }]);
      }
      return isStamped;
    },
    endReminder: (...end) => store.endReminder(...end),

    async sweep() {
      const due = await store.dueBefore(now() + SWEEP_AHEAD_MS, SWEEP_MAX);
      for (const { tenant, bookingId, kind, dueAtMs } of due) {
        const booking = await store.get(tenant, bookingId);
        if (booking?.status === 'active') await reminders.schedule(booking, kind, dueAtMs);
      }
      return due.length;
    },

    async withdrawOwed() {
      const failures: unknown[] = [];
      let after: string | null = null;
      for (;;) {
        const owed = await store.owedWithdrawals(after, WITHDRAWALS_MAX);
        for (const { tenant, messageId } of owed)
          await settleOwed(tenant, messageId).catch((error: unknown) => failures.push(error));
        after = owed.at(-1)?.messageId ?? null;
        if (owed.length < WITHDRAWALS_MAX) break;
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
