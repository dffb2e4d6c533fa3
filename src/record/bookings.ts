import { AppError } from '../errors/app-error.ts';
import {
  type BookingReminders,
  type PlannedReminder,
  type ReminderRecord,
  type ReminderStatus,
  remindersOf,
  writeReminders,
} from './booking-reminders.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row, Run } from './database.ts';
import { storableJson } from './recording/storable.ts';
import { oweWithdrawals, type ReminderWithdrawals, withdrawalsOf } from './reminder-withdrawals.ts';
import { isUniqueViolation } from './sql-errors.ts';
import type { Page } from './types.ts';

/** What a caller says of a booking. */
export interface BookingFields {
  readonly customerPhone: string;
  readonly customerName: string | null;
  readonly serviceName: string;
  readonly startsAtMs: number;
  /** As it was written; its offset is the customer's clock when `timeZone` is null. */
  readonly startsAtWritten: string;
  /** IANA name. */
  readonly timeZone: string | null;
  readonly sender: string | null;
  readonly message: Readonly<Record<string, unknown>> | null;
  readonly locale: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

export interface BookingRecord extends BookingFields {
  readonly tenant: string;
  readonly id: string;
  readonly status: 'active' | 'cancelled';
  readonly lastRemindedAtMs: number | null;
  readonly cancelledAtMs: number | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly reminders: readonly ReminderRecord[];
}

/** A booking as it is to be. A kind that is neither in `reminders` nor in `kept` is cancelled where it waits. */
export interface BookingRevision {
  readonly fields: BookingFields;
  /** Planned anew, also where one of the kind was sent. */
  readonly reminders: readonly PlannedReminder[];
  /** Kinds that stay as they are. */
  readonly kept: readonly string[];
  /** Kinds whose messages are owed to be withdrawn. */
  readonly outdated: readonly string[];
}

export interface Bookings extends BookingReminders, ReminderWithdrawals {
  /** @throws AppError `CONFLICT` when the tenant has a booking with this id */
  create(
    tenant: string,
    id: string,
    fields: BookingFields,
    reminders: readonly PlannedReminder[],
  ): Promise<BookingRecord>;
  get(tenant: string, id: string): Promise<BookingRecord | null>;
  /**
   * Writes fields and reminders in one transaction, with what must be withdrawn.
   * @param decide is asked with the booking as it is, which nobody else changes meanwhile: of two changes at once the
   *   second one sees the first. Must not wait.
   * @returns null when there is no active booking
   */
  change(tenant: string, id: string, decide: (before: BookingRecord) => BookingRevision): Promise<BookingRecord | null>;
  /** Cancels the booking and what was not sent; what was accepted is owed to be withdrawn. Null when there is no such booking; safe to repeat. */
  cancel(tenant: string, id: string): Promise<BookingRecord | null>;
  /** By time of the booking. */
  list(
    tenant: string,
    options?: {
      readonly status?: 'active' | 'cancelled' | undefined;
      readonly fromMs?: number | undefined;
      readonly toMs?: number | undefined;
      readonly cursor?: string | undefined;
      readonly limit?: number | undefined;
    },
  ): Promise<Page<BookingRecord>>;
  /** Of all tenants or of one, for people: by time of the booking. */
  search(filter: BookingSearch): Promise<Page<BookingRecord>>;
}

export interface BookingSearch {
  readonly tenant?: string | undefined;
  readonly status?: 'active' | 'cancelled' | undefined;
  /** Bookings with a reminder in this state. */
  readonly reminder?: ReminderStatus | undefined;
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
  readonly isNewestFirst?: boolean | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

interface BookingRow extends Row {
  readonly tenant: string;
  readonly id: string;
  readonly customer_phone: string;
  readonly customer_name: string | null;
  readonly service_name: string;
  readonly starts_at: Date;
  readonly starts_at_written: string;
  readonly time_zone: string | null;
  readonly sender: string | null;
  readonly message: BookingFields['message'];
  readonly locale: string | null;
  readonly metadata: BookingFields['metadata'];
  readonly status: 'active' | 'cancelled';
  readonly last_reminded_at: Date | null;
  readonly cancelled_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly reminders: readonly {
    readonly kind: string;
    readonly due_at: string;
    readonly generation: number;
    readonly status: ReminderStatus;
    readonly reason: string | null;
    readonly message_id: string | null;
    readonly sent_at: string | null;
  }[];
}

const SELECT = `
  select bookings.*,
    (select coalesce(jsonb_agg(to_jsonb(reminder) - 'tenant' - 'booking_id' order by due_at, kind), '[]')
     from booking_reminders reminder
     where reminder.tenant = bookings.tenant and reminder.booking_id = bookings.id) as reminders
  from bookings`;

const FIELD_COLUMNS = `customer_phone, customer_name, service_name, starts_at, starts_at_written, time_zone, sender,
  message, locale, metadata`;

export function bookingsOf(database: Database): Bookings {
  async function find(run: Run, tenant: string, id: string): Promise<BookingRecord | null> {
    const [row] = await run<BookingRow>(`${SELECT} where tenant = $1 and id = $2`, [tenant, id]);
    return row === undefined ? null : fromRow(row);
  }

  return {
    ...remindersOf(database),
    ...withdrawalsOf(database),

    async create(tenant, id, fields, reminders) {
      try {
        return await database.transaction(async (run) => {
          await run(
            `insert into bookings (tenant, id, ${FIELD_COLUMNS})
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
            [tenant, id, ...valuesOf(fields)],
          );
          await writeReminders(run, tenant, id, reminders);
          return existing(await find(run, tenant, id));
        });
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new AppError('CONFLICT', {
          field: 'id',
          detail: 'A booking with this id exists: change it with PATCH /v1/bookings/:id, or choose another id.',
          cause: error,
        });
      }
    },

    get: (tenant, id) => find(database.query, tenant, id),

    async change(tenant, id, decide) {
      return await database.transaction(async (run) => {
        const locked = await run(
          `select id from bookings where tenant = $1 and id = $2 and status = 'active' for update`,
          [tenant, id],
        );
        if (locked.length === 0) return null;
        const { fields, reminders, kept, outdated } = decide(existing(await find(run, tenant, id)));
        await oweWithdrawals(run, tenant, id, outdated);
        await run(
          `update bookings set (${FIELD_COLUMNS}) = ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12), updated_at = now()
           where tenant = $1 and id = $2`,
          [tenant, id, ...valuesOf(fields)],
        );
        await run(
          `update booking_reminders set status = 'cancelled'
           where tenant = $1 and booking_id = $2 and status = 'scheduled' and kind <> all($3)`,
          [tenant, id, [...kept, ...reminders.map(({ kind }) => kind)]],
        );
        await writeReminders(run, tenant, id, reminders);
        return await find(run, tenant, id);
      });
    },

    async cancel(tenant, id) {
      return await database.transaction(async (run) => {
        await run(
          `update bookings set status = 'cancelled', cancelled_at = now(), updated_at = now()
           where tenant = $1 and id = $2 and status = 'active'`,
          [tenant, id],
        );
        await run(
          `update booking_reminders set status = 'cancelled'
           where tenant = $1 and booking_id = $2 and status = 'scheduled'`,
          [tenant, id],
        );
        await oweWithdrawals(run, tenant, id, null);
        return await find(run, tenant, id);
      });
    },

    async list(tenant, { status, fromMs, toMs, cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 1);
      const conditions = new Conditions()
        .when(tenant, 'tenant = ?')
        .when(status, 'status = ?')
        .when(dateOf(fromMs), 'starts_at >= ?')
        .when(dateOf(toMs), 'starts_at < ?');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(starts_at, id) > (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<BookingRow>(
        `${SELECT} ${conditions.where} order by starts_at, id limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.startsAtMs, keys: [last.id] }));
    },

    async search({ tenant, status, reminder, fromMs, toMs, isNewestFirst = false, cursor: text, limit: wanted }) {
      const cursor = openCursor(text, 2);
      const conditions = new Conditions()
        .when(tenant, 'tenant = ?')
        .when(status, 'status = ?')
        .when(dateOf(fromMs), 'starts_at >= ?')
        .when(dateOf(toMs), 'starts_at < ?')
        .when(
          reminder,
          `exists (select from booking_reminders reminder
             where reminder.tenant = bookings.tenant and reminder.booking_id = bookings.id and reminder.status = ?)`,
        );
      if (cursor !== null) {
        const [owner, id] = cursor.keys;
        const at = conditions.value(new Date(cursor.atMs));
        const before = isNewestFirst ? '<' : '>';
        conditions.add(
          `(starts_at, tenant, id) ${before} (${at}, ${conditions.value(owner)}, ${conditions.value(id)})`,
        );
      }
      const limit = pageLimit(wanted);
      const order = isNewestFirst ? 'starts_at desc, tenant desc, id desc' : 'starts_at, tenant, id';
      const rows = await database.query<BookingRow>(
        `${SELECT} ${conditions.where} order by ${order} limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.startsAtMs, keys: [last.tenant, last.id] }));
    },
  };
}

function valuesOf(fields: BookingFields): unknown[] {
  return [
    fields.customerPhone,
    fields.customerName,
    fields.serviceName,
    new Date(fields.startsAtMs),
    fields.startsAtWritten,
    fields.timeZone,
    fields.sender,
    fields.message === null ? null : storableJson(fields.message),
    fields.locale,
    storableJson(fields.metadata),
  ];
}

function fromRow(row: BookingRow): BookingRecord {
  return {
    tenant: row.tenant,
    id: row.id,
    customerPhone: row.customer_phone,
    customerName: row.customer_name,
    serviceName: row.service_name,
    startsAtMs: row.starts_at.getTime(),
    startsAtWritten: row.starts_at_written,
    timeZone: row.time_zone,
    sender: row.sender,
    message: row.message,
    locale: row.locale,
    metadata: row.metadata,
    status: row.status,
    lastRemindedAtMs: ms(row.last_reminded_at),
    cancelledAtMs: ms(row.cancelled_at),
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
    reminders: row.reminders.map((reminder) => ({
      kind: reminder.kind,
      dueAtMs: Date.parse(reminder.due_at),
      generation: reminder.generation,
      status: reminder.status,
      reason: reminder.reason,
      messageId: reminder.message_id,
      sentAtMs: reminder.sent_at === null ? null : Date.parse(reminder.sent_at),
    })),
  };
}

function existing(booking: BookingRecord | null): BookingRecord {
  if (booking === null) throw new AppError('INTERNAL');
  return booking;
}

function dateOf(value: number | undefined): Date | undefined {
  return value === undefined ? undefined : new Date(value);
}

function ms(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}
