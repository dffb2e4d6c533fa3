import type { Database, Row, Run } from './database.ts';

export type ReminderStatus = 'scheduled' | 'sent' | 'cancelled' | 'skipped' | 'failed';

export interface ReminderRecord {
  /** `day_before`, `hour_before`, or minutes before the booking: `90m`. */
  readonly kind: string;
  readonly dueAtMs: number;
  /** How often it was planned anew: after a move, or when its kind was asked for again. Its message belongs to it. */
  readonly generation: number;
  readonly status: ReminderStatus;
  /** Why it was skipped or failed. */
  readonly reason: string | null;
  readonly messageId: string | null;
  readonly sentAtMs: number | null;
}

/** A reminder as it is to be: due, or skipped with a reason. */
export interface PlannedReminder {
  readonly kind: string;
  readonly dueAtMs: number;
  readonly skippedBecause: string | null;
}

export interface DueReminder {
  readonly tenant: string;
  readonly bookingId: string;
  readonly kind: string;
  readonly dueAtMs: number;
}

/** What becomes of the reminders of bookings, each by the kind that it has in its booking. */
export interface BookingReminders {
  /**
   * Stamps booking and reminder in one transaction. False when the reminder of this generation no longer waits, or the
   * booking is at another time than `startsAtMs` (it was moved meanwhile, and is to be reminded of again): nothing
   * changed.
   */
  stampSent(
    tenant: string,
    id: string,
    kind: string,
    messageId: string,
    of: { readonly generation: number; readonly startsAtMs: number },
  ): Promise<boolean>;
  /** Ends a waiting reminder without sending it. @param generation only this one; default: whichever waits */
  endReminder(
    tenant: string,
    id: string,
    kind: string,
    status: 'skipped' | 'failed',
    reason: string,
    generation?: number,
  ): Promise<void>;
  /** Waiting reminders that are due before a time, oldest first. */
  dueBefore(beforeMs: number, limit: number): Promise<DueReminder[]>;
}

export function remindersOf(database: Database): BookingReminders {
  return {
    async stampSent(tenant, id, kind, messageId, { generation, startsAtMs }) {
      return await database.transaction(async (run) => {
        // A change that is under way comes first: it must not plan anew what is stamped in the same moment.
        const held = await run('select id from bookings where tenant = $1 and id = $2 and starts_at = $3 for update', [
          tenant,
          id,
          new Date(startsAtMs),
        ]);
        if (held.length === 0) return false;
        const stamped = await run(
          `update booking_reminders set status = 'sent', message_id = $4, sent_at = now()
           where tenant = $1 and booking_id = $2 and kind = $3 and status = 'scheduled' and generation = $5
           returning kind`,
          [tenant, id, kind, messageId, generation],
        );
        if (stamped.length === 0) return false;
        await run('update bookings set last_reminded_at = now() where tenant = $1 and id = $2', [tenant, id]);
        return true;
      });
    },

    async endReminder(tenant, id, kind, status, reason, generation) {
      await database.query(
        `update booking_reminders set status = $4, reason = $5
         where tenant = $1 and booking_id = $2 and kind = $3 and status = 'scheduled'
           and ($6::integer is null or generation = $6)`,
        [tenant, id, kind, status, reason, generation ?? null],
      );
    },

    async dueBefore(beforeMs, limit) {
      const rows = await database.query<{ tenant: string; booking_id: string; kind: string; due_at: Date } & Row>(
        `select tenant, booking_id, kind, due_at from booking_reminders
         where status = 'scheduled' and due_at < $1 order by due_at limit ${Math.trunc(limit)}`,
        [new Date(beforeMs)],
      );
      return rows.map((row) => ({
        tenant: row.tenant,
        bookingId: row.booking_id,
        kind: row.kind,
        dueAtMs: row.due_at.getTime(),
      }));
    },
  };
}

/** Plans reminders of a booking, anew where there are some of their kinds. */
export async function writeReminders(
  run: Run,
  tenant: string,
  id: string,
  reminders: readonly PlannedReminder[],
): Promise<void> {
  for (const { kind, dueAtMs, skippedBecause } of reminders) {
    await run(
      `insert into booking_reminders (tenant, booking_id, kind, due_at, status, reason)
       values ($1, $2, $3, $4, $5, $6)
       on conflict (tenant, booking_id, kind) do update
         set due_at = excluded.due_at, status = excluded.status, reason = excluded.reason,
           generation = booking_reminders.generation + 1, message_id = null, sent_at = null`,
      [tenant, id, kind, new Date(dueAtMs), skippedBecause === null ? 'scheduled' : 'skipped', skippedBecause],
    );
  }
}
