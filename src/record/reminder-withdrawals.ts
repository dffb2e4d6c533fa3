import type { Database, Row, Run } from './database.ts';

/** A message that was accepted for a booking's time that is no more. */
export interface OwedWithdrawal {
  readonly tenant: string;
  readonly messageId: string;
}

/** Messages of reminders that must not go out any more. A change of a booking owes them in its own transaction. */
export interface ReminderWithdrawals {
  /** Of a message that no reminder is stamped with. Safe to repeat. */
  oweWithdrawal(tenant: string, messageId: string): Promise<void>;
  /** The message is cancelled, or has ended. */
  settleWithdrawal(messageId: string): Promise<void>;
  /** It was on its way: it is looked at again after a quarter of the time for which it is owed, 1 s to an hour. */
  postponeWithdrawal(messageId: string): Promise<void>;
  /** Those to be looked at now, in the order of the messages' ids, behind `after`. */
  owedWithdrawals(after: string | null, limit: number): Promise<OwedWithdrawal[]>;
}

export function withdrawalsOf(database: Database): ReminderWithdrawals {
  return {
    async oweWithdrawal(tenant, messageId) {
      await database.query(
        `insert into reminder_withdrawals (message_id, tenant) values ($1, $2) on conflict do nothing`,
        [messageId, tenant],
      );
    },

    async settleWithdrawal(messageId) {
      await database.query('delete from reminder_withdrawals where message_id = $1', [messageId]);
    },

    async postponeWithdrawal(messageId) {
      await database.query(
        `update reminder_withdrawals set look_after =
           now() + least(greatest((now() - owed_since) / 4, interval '1 second'), interval '1 hour')
         where message_id = $1`,
        [messageId],
      );
    },

    async owedWithdrawals(after, limit) {
      const rows = await database.query<{ tenant: string; message_id: string } & Row>(
        `select tenant, message_id from reminder_withdrawals
         where look_after <= now() and ($1::uuid is null or message_id > $1) order by message_id limit ${Math.trunc(limit)}`,
        [after],
      );
      return rows.map((row) => ({ tenant: row.tenant, messageId: row.message_id }));
    },
  };
}

/** Owes what was accepted for a booking as it is until now. @param kinds null = of all */
export async function oweWithdrawals(
  run: Run,
  tenant: string,
  bookingId: string,
  kinds: readonly string[] | null,
): Promise<void> {
  await run(
    `insert into reminder_withdrawals (message_id, tenant)
     select message_id, tenant from booking_reminders
     where tenant = $1 and booking_id = $2 and status = 'sent' and message_id is not null
       and ($3::text[] is null or kind = any($3))
     on conflict do nothing`,
    [tenant, bookingId, kinds],
  );
}
