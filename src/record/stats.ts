import type { MessageStatus } from '../model/message.ts';
import type { Database, Row } from './database.ts';

export interface StatsRange {
  /** Null = of all tenants together. */
  readonly tenant: string | null;
  /** Epoch ms; counts are kept by half hours of the messages' creation, so both ends should lie on one. */
  readonly fromMs: number;
  readonly toMs: number;
  /** IANA name: days and hours are those of its clock. */
  readonly timeZone: string;
}

export interface MessageTotals {
  readonly status: MessageStatus;
  /** The provider took them. */
  readonly isSent: boolean;
  readonly messages: number;
  readonly sendMs: number;
}

/** Counts of a range, as the tables have them; `stats/` makes rates of them. */
export interface StatsCounts {
  readonly totals: readonly MessageTotals[];
  readonly days: readonly { readonly day: string; readonly status: MessageStatus; readonly messages: number }[];
  /** Most frequent first, at most 20. */
  readonly failures: readonly {
    readonly code: string;
    readonly providerCode: string | null;
    readonly messages: number;
  }[];
  /** Hours of the day that had any, 0 … 23. */
  readonly sentByHour: readonly { readonly hour: number; readonly messages: number }[];
  readonly receivedByHour: readonly { readonly hour: number; readonly messages: number }[];
  readonly receivedByDay: readonly { readonly day: string; readonly messages: number }[];
  /** `bucket` is 4 log2(1 + seconds), rounded down. */
  readonly responses: readonly { readonly bucket: number; readonly responses: number; readonly responseMs: number }[];
  readonly bookings: {
    /** That take place in the range. */
    readonly active: number;
    readonly cancelled: number;
    /** That were made in the range. */
    readonly made: number;
    readonly remindersSent: number;
  };
}

export interface Stats {
  /** One look at the counters that are kept while messages are recorded; its cost does not grow with the messages. */
  counts(range: StatsRange): Promise<StatsCounts>;
}

interface MessageRow extends Row {
  readonly day: string | null;
  readonly hour: number | null;
  readonly status: MessageStatus | null;
  readonly is_sent: boolean | null;
  readonly reason: string | null;
  readonly messages: number;
  readonly send_ms: number;
}

const FAILURES_MAX = 20;
/** A year of one tenant is some ten thousand rows of counters. */
const TIMEOUT_MS = 5_000;

export function statsOf(database: Database): Stats {
  const ask = <R extends Row>(name: string, text: string, values: readonly unknown[]) =>
    database.query<R>(text, values, { name, timeoutMs: TIMEOUT_MS });

  return {
    async counts({ tenant, fromMs, toMs, timeZone }) {
      const span = [tenant ?? '', new Date(fromMs), new Date(toMs)];
      const local = [...span, timeZone];
      const [messages, inbound, responses, bookings] = await Promise.all([
        ask<MessageRow>(
          'stats_messages',
          `select (slot at time zone $4)::date::text as day, extract(hour from slot at time zone $4)::int as hour,
             status, is_sent, nullif(reason, '') as reason,
             sum(messages)::bigint as messages, sum(send_ms)::bigint as send_ms
           from message_stats
           where tenant = $1 and slot >= $2 and slot < $3
           group by grouping sets ((1, status), (2), (status, is_sent), (status, 5))
           having sum(messages) > 0`,
          local,
        ),
        ask<{ day: string | null; hour: number | null; messages: number } & Row>(
          'stats_inbound',
          `select (slot at time zone $4)::date::text as day, extract(hour from slot at time zone $4)::int as hour,
             sum(messages)::bigint as messages
           from inbound_stats
           where tenant = $1 and slot >= $2 and slot < $3
           group by grouping sets ((1), (2))`,
          local,
        ),
        ask<{ bucket: number; responses: number; response_ms: number } & Row>(
          'stats_responses',
          `select bucket, sum(responses)::bigint as responses, sum(response_ms)::bigint as response_ms
           from response_stats
           where tenant = $1 and slot >= $2 and slot < $3
           group by bucket order by bucket`,
          span,
        ),
        ask<{ active: number; cancelled: number; made: number; reminders: number } & Row>(
          tenant === null ? 'stats_bookings_all' : 'stats_bookings',
          bookingsQuery(tenant !== null),
          tenant === null ? span.slice(1) : [...span.slice(1), tenant],
        ),
      ]);
      const booked = bookings[0] ?? { active: 0, cancelled: 0, made: 0, reminders: 0 };
      return {
        ...sortMessages(messages),
        receivedByHour: inbound.flatMap(({ hour, messages: n }) => (hour === null ? [] : [{ hour, messages: n }])),
        receivedByDay: inbound.flatMap(({ day, messages: n }) => (day === null ? [] : [{ day, messages: n }])),
        responses: responses.map((row) => ({
          bucket: row.bucket,
          responses: row.responses,
          responseMs: row.response_ms,
        })),
        bookings: {
          active: booked.active,
          cancelled: booked.cancelled,
          made: booked.made,
          remindersSent: booked.reminders,
        },
      };
    },
  };
}

/** Every row belongs to one grouping set, which shows in what it names. */
function sortMessages(rows: readonly MessageRow[]) {
  const totals: MessageTotals[] = [];
  const days: { day: string; status: MessageStatus; messages: number }[] = [];
  const failures: { code: string; providerCode: string | null; messages: number }[] = [];
  const sentByHour: { hour: number; messages: number }[] = [];
  for (const { day, hour, status, is_sent: isSent, reason, messages, send_ms: sendMs } of rows) {
    if (hour !== null) sentByHour.push({ hour, messages });
    else if (day !== null && status !== null) days.push({ day, status, messages });
    else if (isSent !== null && status !== null) totals.push({ status, isSent, messages, sendMs });
    else if (reason !== null) {
      const [code = '', providerCode = ''] = reason.split(' ');
      failures.push({ code, providerCode: providerCode === '' ? null : providerCode, messages });
    }
  }
  days.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
  failures.sort((a, b) => b.messages - a.messages);
  sentByHour.sort((a, b) => a.hour - b.hour);
  return { totals, days, failures: failures.slice(0, FAILURES_MAX), sentByHour };
}

function bookingsQuery(ofTenant: boolean): string {
  const own = (table: string) => (ofTenant ? `and ${table}.tenant = $3` : '');
  return `
    select
      (select count(*) from bookings
       where status = 'active' and starts_at >= $1 and starts_at < $2 ${own('bookings')}) as active,
      (select count(*) from bookings
       where status = 'cancelled' and starts_at >= $1 and starts_at < $2 ${own('bookings')}) as cancelled,
      (select count(*) from bookings
       where created_at >= $1 and created_at < $2 ${own('bookings')}) as made,
      (select count(*) from booking_reminders reminder
       where reminder.sent_at >= $1 and reminder.sent_at < $2 ${own('reminder')}) as reminders`;
}
