import type { Database } from './database.ts';

/** The receiver that EVENTS_URL names; every other one is named after its tenant. */
export const DEFAULT_ENDPOINT = '*';

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

/** Who events go to, and how each of them is. */
export interface EventReceivers {
  /** Tells whether EVENTS_URL is set: without it, and without an address of the tenant, no event is written. */
  setDefault(url: string | null): Promise<void>;
  /** Records how a receiver is. */
  heard(endpoint: string, isWell: boolean): Promise<void>;
  /** Stops a receiver; what waits for it becomes dead letters. */
  disable(endpoint: string, reason: string): Promise<void>;
  /** @returns whether it was stopped */
  enable(endpoint: string): Promise<boolean>;
  endpoints(): Promise<EndpointRecord[]>;
}

/** A person waits for it, or a loop that has time. */
const LONG_MS = 30_000;

/** The address that the row speaks of: a tenant's own is in its own row. */
const ADDRESS = `case when $1 = '${DEFAULT_ENDPOINT}'
  then (select url from event_endpoints where id = $1) else (select events_url from tenants where id = $1) end`;

export function receiversOf(database: Database): EventReceivers {
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
         select $1, ${ADDRESS}, now(), $2
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
  };
}

function ms(date: Date | null): number | null {
  return date === null ? null : date.getTime();
}
