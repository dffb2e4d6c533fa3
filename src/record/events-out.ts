import { AppError } from '../errors/app-error.ts';
import { isId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { storableJson } from './recording/storable.ts';
import type { Page } from './types.ts';

/** The receiver that EVENTS_URL names; every other one is named after its tenant. */
export const DEFAULT_ENDPOINT = '*';

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

export interface EndpointRecord {
  readonly id: string;
  readonly url: string | null;
  readonly disabledAtMs: number | null;
  readonly disabledReason: string | null;
  readonly deliveredAtMs: number | null;
  readonly failingSinceMs: number | null;
  readonly pending: number;
  readonly dead: number;
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
export interface EventsOut {
  /** Tells whether EVENTS_URL is set: without it, and without an address of the tenant, no event is written. */
  setDefault(url: string | null): Promise<void>;
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
  /** Records how a receiver is. */
  heard(endpoint: string, isWell: boolean): Promise<void>;
  /** Stops a receiver; what waits for it becomes dead letters. */
  disable(endpoint: string, reason: string): Promise<void>;
  /** @returns whether it was stopped */
  enable(endpoint: string): Promise<boolean>;
  endpoints(): Promise<EndpointRecord[]>;
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

  /** The address that the row speaks of: a tenant's own is in its own row. */
  const addressOf = `case when $1 = '${DEFAULT_ENDPOINT}'
    then (select url from event_endpoints where id = $1) else (select events_url from tenants where id = $1) end`;

  return {
    async setDefault(url) {
      await database.query(
        `insert into event_endpoints as known (id, url) values ('${DEFAULT_ENDPOINT}', $1)
         on conflict (id) do update set
           url = excluded.url,
           disabled_at = case when known.url = excluded.url then known.disabled_at end,
           disabled_reason = case when known.url = excluded.url then known.disabled_reason end
         where known.url is distinct from excluded.url`,
        [url],
      );
    },

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

    async heard(endpoint, isWell) {
      await database.query(
        `insert into event_endpoints as known (id, delivered_at, failing_since)
         values ($1, case when $2 then now() end, case when not $2 then now() end)
         on conflict (id) do update set
           delivered_at = coalesce(excluded.delivered_at, known.delivered_at),
           failing_since = case when $2 then null else coalesce(known.failing_since, excluded.failing_since) end
         where not $2 or known.failing_since is not null or known.delivered_at is null
           or known.delivered_at < now() - interval '10 seconds'`,
        [endpoint, isWell],
        { name: 'heard_endpoint' },
      );
    },

    async disable(endpoint, reason) {
      await database.query(
        `insert into event_endpoints as known (id, url, disabled_at, disabled_reason)
         select $1, ${addressOf}, now(), $2
         on conflict (id) do update set url = excluded.url, disabled_at = now(), disabled_reason = $2`,
        [endpoint, reason],
      );
      await database.query(
        `update event_outbox set state = 'dead', last_error = $2, ended_at = now()
         where endpoint = $1 and state = 'pending'`,
        [endpoint, reason],
        { timeoutMs: LONG_MS },
      );
    },

    async enable(endpoint) {
      const rows = await database.query(
        `update event_endpoints set disabled_at = null, disabled_reason = null
         where id = $1 and disabled_at is not null returning id`,
        [endpoint],
      );
      return rows.length > 0;
    },

    async endpoints() {
      const rows = await database.query<{
        id: string;
        url: string | null;
        disabled_at: Date | null;
        disabled_reason: string | null;
        delivered_at: Date | null;
        failing_since: Date | null;
        pending: number;
        dead: number;
      }>(
        `select place.id, place.url,
           case when known.url is not distinct from place.url then known.disabled_at end as disabled_at,
           case when known.url is not distinct from place.url then known.disabled_reason end as disabled_reason,
           known.delivered_at, known.failing_since,
           (select count(*) from event_outbox where endpoint = place.id and state = 'pending') as pending,
           (select count(*) from event_outbox where endpoint = place.id and state = 'dead') as dead
         from (
           select id, url from event_endpoints where id = '${DEFAULT_ENDPOINT}' and url is not null
           union all
           select id, events_url from tenants where events_url is not null
         ) place
         left join event_endpoints known on known.id = place.id
         order by place.id`,
        [],
        { timeoutMs: LONG_MS },
      );
      return rows.map((row) => ({
        id: row.id,
        url: row.url,
        disabledAtMs: ms(row.disabled_at),
        disabledReason: row.disabled_reason,
        deliveredAtMs: ms(row.delivered_at),
        failingSinceMs: ms(row.failing_since),
        pending: row.pending,
        dead: row.dead,
      }));
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
