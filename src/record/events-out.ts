import { AppError } from '../errors/app-error.ts';
import { isId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { DEFAULT_ENDPOINT, type EventReceivers, receiversOf } from './event-receivers.ts';
import { storableJson } from './recording/storable.ts';
import type { Page } from './types.ts';

export const EVENT_STATES = ['pending', 'delivered', 'dead'] as const;
export type EventState = (typeof EVENT_STATES)[number];

/** An event for the product, as the outbox has it. Times are epoch ms. */
export interface OutgoingEvent {
  readonly id: string;
  /** `*` = EVENTS_URL, else a tenant's id. */
  readonly endpoint: string;
  readonly tenant: string | null;
  readonly sender: string | null;
  readonly conversation: string | null;
  /** Number in its conversation; null for what belongs to none. */
  readonly seq: number | null;
  readonly type: string;
  readonly messageId: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  readonly state: EventState;
  readonly attempts: number;
  readonly dueAtMs: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly occurredAtMs: number;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
}

/** An event with its receiver's address; a null address means that there is none any more. */
export interface ClaimedEvent extends OutgoingEvent {
  readonly url: string | null;
  readonly isDisabled: boolean;
}

export interface EventFilter {
  readonly state?: EventState | undefined;
  readonly tenant?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly type?: string | undefined;
  readonly conversation?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  /** Written at or after / before, epoch ms. */
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

export interface AttemptResult {
  readonly state: EventState;
  /** Of `pending`: wait from now, ms. */
  readonly waitMs?: number;
  readonly status: number | null;
  readonly error: string | null;
}

/** The outbox of events. Messages and statuses are put in by the statements that record them. */
export interface EventsOut extends EventReceivers {
  /** What belongs to no conversation. The same source is told once. */
  add(event: {
    readonly source: string;
    readonly tenant: string | null;
    readonly sender: string | null;
    readonly type: string;
    readonly data: Readonly<Record<string, unknown>>;
    readonly occurredAtMs: number;
  }): Promise<void>;
  /**
   * Takes what is due, per receiver as many as it has room for, and puts each off by `leaseMs`, after which it is due
   * again unless `finish` says otherwise.
   * @param busy attempts under way by receiver
   */
  claim(options: {
    readonly perEndpoint: number;
    readonly leaseMs: number;
    readonly busy: ReadonlyMap<string, number>;
  }): Promise<ClaimedEvent[]>;
  /** Records how an attempt ended. An event that is not pending any more stays as it is. */
  finish(id: string, result: AttemptResult): Promise<void>;
  /** Newest first. @throws AppError `REQUEST_INVALID` for a cursor that no page gave */
  list(
    filter: EventFilter & { readonly cursor?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Page<OutgoingEvent>>;
  get(id: string): Promise<OutgoingEvent | null>;
  /** Sends them again from the beginning of the schedule, whatever their state. @returns how many */
  replay(filter: EventFilter): Promise<number>;
  count(filter: EventFilter): Promise<number>;
  /** Events by state; of those that ended, as many as are kept. */
  counts(): Promise<Readonly<Record<EventState, number>>>;
  /** Forgets what ended long ago. @returns how many */
  purge(beforeMs: { readonly delivered: number; readonly dead: number }): Promise<number>;
}

interface EventRow extends Row {
  readonly id: string;
  readonly endpoint: string;
  readonly tenant: string | null;
  readonly sender: string | null;
  readonly conversation: string | null;
  readonly seq: number | null;
  readonly type: string;
  readonly message_id: string | null;
  readonly data: Readonly<Record<string, unknown>>;
  readonly state: EventState;
  readonly attempts: number;
  readonly due_at: Date;
  readonly last_status: number | null;
  readonly last_error: string | null;
  readonly occurred_at: Date;
  readonly created_at: Date;
  readonly ended_at: Date | null;
}

/** A person waits for it, or a loop that has time. */
const LONG_MS = 30_000;
const PURGE_MAX = 5_000;

/**
 * Receivers with something pending are found by hopping through the index, so that a large backlog of one costs the
 * others nothing; each then gives as many as it has room for. Rows that another process takes are passed over.
 */
const CLAIM = `
  with recursive lane (endpoint) as (
    (select endpoint from event_outbox where state = 'pending' order by endpoint limit 1)
    union all
    select (
      select next.endpoint from event_outbox next
      where next.state = 'pending' and next.endpoint > lane.endpoint
      order by next.endpoint limit 1
    )
    from lane where lane.endpoint is not null
  ),
  picked as (
    select due.id from lane cross join lateral (
      select id from event_outbox
      where event_outbox.endpoint = lane.endpoint and state = 'pending' and due_at <= now()
      order by due_at, seq
      limit greatest(0, $1::integer - coalesce(($2::jsonb ->> lane.endpoint)::integer, 0))
      for update skip locked
    ) due
    where lane.endpoint is not null
  ),
  taken as (
    update event_outbox set due_at = now() + $3::double precision * interval '1 ms'
    from picked where event_outbox.id = picked.id
    returning event_outbox.*
  )
  select taken.*,
    case when taken.endpoint = '${DEFAULT_ENDPOINT}' then known.url else tenants.events_url end as address,
    known.disabled_at is not null
      and (taken.endpoint = '${DEFAULT_ENDPOINT}' or known.url is not distinct from tenants.events_url) as is_disabled
  from taken
  left join event_endpoints known on known.id = taken.endpoint
  left join tenants on tenants.id = taken.endpoint
  order by taken.occurred_at, taken.seq`;

export function eventsOutOf(database: Database): EventsOut {
  function conditionsOf(filter: EventFilter): Conditions {
    const date = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));
    return new Conditions()
      .when(filter.state, 'state = ?')
      .when(filter.tenant, 'tenant = ?')
      .when(filter.endpoint, 'endpoint = ?')
      .when(filter.type, 'type = ?')
      .when(filter.conversation, 'conversation = ?')
      .when(filter.ids, 'id = any(?::uuid[])')
      .when(date(filter.fromMs), 'created_at >= ?')
      .when(date(filter.toMs), 'created_at < ?');
  }

  return {
    ...receiversOf(database),

    async add({ source, tenant, sender, type, data, occurredAtMs }) {
      await database.query(
        `insert into event_outbox (endpoint, tenant, sender, type, data, source, occurred_at)
         select endpoint, $2, $3, $4, $5, $1, $6 from (select event_endpoint_of($2) as endpoint) place
         where endpoint is not null
         on conflict do nothing`,
        [source, tenant, sender, type, storableJson(data), new Date(occurredAtMs)],
      );
    },

    async claim({ perEndpoint, leaseMs, busy }) {
      const rows = await database.query<EventRow & { address: string | null; is_disabled: boolean }>(
        CLAIM,
        [perEndpoint, JSON.stringify(Object.fromEntries(busy)), leaseMs],
        { name: 'claim_events' },
      );
      return rows.map((row) => ({ ...fromRow(row), url: row.address, isDisabled: row.is_disabled }));
    },

    async finish(id, { state, waitMs = 0, status, error }) {
      await database.query(
        `update event_outbox set
           state = $2, attempts = attempts + 1, last_status = $4, last_error = $5,
           due_at = now() + $3::double precision * interval '1 ms',
           ended_at = case when $2 <> 'pending' then now() end
         where id = $1 and state = 'pending'`,
        [id, state, waitMs, status, error],
        { name: 'finish_event' },
      );
    },

    async list({ cursor: cursorText, limit: wanted, ...filter }) {
      const cursor = openCursor(cursorText, 1);
      if (cursor !== null && !cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
      const conditions = conditionsOf(filter);
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<EventRow>(
        `select * from event_outbox ${conditions.where} order by created_at desc, id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async get(id) {
      if (!isId(id)) return null;
      const [row] = await database.query<EventRow>('select * from event_outbox where id = $1', [id]);
      return row === undefined ? null : fromRow(row);
    },

    async replay(filter) {
      const conditions = conditionsOf(filter);
      const rows = await database.query<{ count: number }>(
        `with again as (
           update event_outbox set state = 'pending', attempts = 0, due_at = now(), ended_at = null
           ${conditions.where} returning 1
         )
         select count(*) as count from again`,
        conditions.values,
        { timeoutMs: LONG_MS },
      );
      return rows[0]?.count ?? 0;
    },

    async count(filter) {
      const conditions = conditionsOf(filter);
      const rows = await database.query<{ count: number }>(
        `select count(*) as count from event_outbox ${conditions.where}`,
        conditions.values,
        { timeoutMs: LONG_MS },
      );
      return rows[0]?.count ?? 0;
    },

    async counts() {
      const rows = await database.query<{ state: EventState; count: number }>(
        'select state, count(*) as count from event_outbox group by state',
        [],
        { timeoutMs: LONG_MS },
      );
      const found = new Map(rows.map(({ state, count }) => [state, count]));
      const of = (state: EventState) => found.get(state) ?? 0;
      return { pending: of('pending'), delivered: of('delivered'), dead: of('dead') };
    },

    async purge({ delivered, dead }) {
      const rows = await database.query(
        `delete from event_outbox where id in (
           select id from event_outbox
           where (state = 'delivered' and ended_at < $1) or (state = 'dead' and ended_at < $2)
           limit ${PURGE_MAX}
         ) returning id`,
        [new Date(delivered), new Date(dead)],
        { timeoutMs: LONG_MS },
      );
      return rows.length;
    },
  };
}

function ms(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}

function fromRow(row: EventRow): OutgoingEvent {
  return {
    id: row.id,
    endpoint: row.endpoint,
    tenant: row.tenant,
    sender: row.sender,
    conversation: row.conversation,
    seq: row.seq,
    type: row.type,
    messageId: row.message_id,
    data: row.data,
    state: row.state,
    attempts: row.attempts,
    dueAtMs: row.due_at.getTime(),
    lastStatus: row.last_status,
    lastError: row.last_error,
    occurredAtMs: row.occurred_at.getTime(),
    createdAtMs: row.created_at.getTime(),
    endedAtMs: ms(row.ended_at),
  };
}
