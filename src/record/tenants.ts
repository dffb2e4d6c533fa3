import { AppError } from '../errors/app-error.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { assignments } from './assignments.ts';
import { isUniqueViolation } from './sql-errors.ts';
import type { Page, TenantDefaults, TenantRecord } from './types.ts';

/** What may be set of a tenant. A limit that is null or left out follows the setting, also when that changes later. */
export interface TenantFields {
  readonly name?: string | undefined;
  readonly concurrency?: number | null | undefined;
  readonly weight?: number | null | undefined;
  readonly backlogMax?: number | null | undefined;
  /** Null: the tenant follows WHATSAPP_SEND_QUEUE_PERCENT. */
  readonly queueEnabled?: boolean | null | undefined;
  readonly eventsUrl?: string | null | undefined;
  /** Why it is paused; null = it is not. */
  readonly pausedReason?: string | null | undefined;
}

export interface Tenants {
  get(id: string): Promise<TenantRecord | null>;
  /** The tenant, made with defaults when it is unknown. Safe to call at the same time for one id. */
  ensure(id: string): Promise<TenantRecord>;
  /** @throws AppError `CONFLICT` when the id is taken */
  create(tenant: TenantFields & { readonly id: string }): Promise<TenantRecord>;
  /** Changes the fields that are given. Null when the tenant is unknown. */
  patch(id: string, fields: TenantFields): Promise<TenantRecord | null>;
  /** All of them by id, at most `limit`. */
  names(limit: number): Promise<TenantName[]>;
  /** Oldest first. */
  list(options?: {
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<Page<TenantRecord>>;
}

/** What a list of all tenants needs. */
export interface TenantName {
  readonly id: string;
  readonly name: string;
  readonly pausedReason: string | null;
}

interface TenantRow extends Row {
  readonly id: string;
  readonly name: string;
  readonly concurrency: number | null;
  readonly weight: number | null;
  readonly backlog_max: number | null;
  readonly queue_switch: boolean | null;
  readonly events_url: string | null;
  readonly paused_reason: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export function tenantsOf(database: Database, defaults: TenantDefaults): Tenants {
  const fromRow = (row: TenantRow): TenantRecord => ({
    id: row.id,
    name: row.name,
    concurrency: row.concurrency ?? defaults.concurrency,
    weight: row.weight ?? defaults.weight,
    backlogMax: row.backlog_max ?? defaults.backlogMax,
    queueEnabled: row.queue_switch,
    eventsUrl: row.events_url,
    pausedReason: row.paused_reason,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  });

  async function get(id: string): Promise<TenantRecord | null> {
    const [row] = await database.query<TenantRow>('select * from tenants where id = $1', [id]);
    return row === undefined ? null : fromRow(row);
  }

  return {
    get,

    async ensure(id) {
      const known = await get(id);
      if (known !== null) return known;
      await database.query('insert into tenants (id, name) values ($1, $1) on conflict do nothing', [id]);
      const made = await get(id);
      if (made === null) throw new AppError('INTERNAL', { detail: `The tenant ${id} was not stored.` });
      return made;
    },

    async create(tenant) {
      try {
        const [row] = await database.query<TenantRow>(
          `insert into tenants (id, name, concurrency, weight, backlog_max, queue_switch, events_url, paused_reason)
           values ($1, $2, $3, $4, $5, $6, $7, $8) returning *`,
          [
            tenant.id,
            tenant.name ?? tenant.id,
            tenant.concurrency ?? null,
            tenant.weight ?? null,
            tenant.backlogMax ?? null,
            tenant.queueEnabled ?? null,
            tenant.eventsUrl ?? null,
            tenant.pausedReason ?? null,
          ],
        );
        if (row === undefined) throw new AppError('INTERNAL');
        return fromRow(row);
      } catch (error) {
        if (!isUniqueViolation(error)) throw error;
        throw new AppError('CONFLICT', {
          field: 'id',
          detail: 'A tenant with this id exists: choose another id, or change that tenant.',
          cause: error,
        });
      }
    },

    async patch(id, fields) {
      const set = assignments(
        {
          name: fields.name,
          concurrency: fields.concurrency,
          weight: fields.weight,
          backlog_max: fields.backlogMax,
          queue_switch: fields.queueEnabled,
          events_url: fields.eventsUrl,
          paused_reason: fields.pausedReason,
        },
        2,
      );
      if (set.values.length === 0) return get(id);
      const [row] = await database.query<TenantRow>(
        `update tenants set ${set.text}, updated_at = now() where id = $1 returning *`,
        [id, ...set.values],
      );
      return row === undefined ? null : fromRow(row);
    },

    async names(limit) {
      return await database.query<TenantName & Row>(
        'select id, name, paused_reason as "pausedReason" from tenants order by id limit $1',
        [limit],
      );
    },

    async list({ cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 1);
      const conditions = new Conditions();
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) > (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<TenantRow>(
        `select * from tenants ${conditions.where} order by created_at, id limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },
  };
}
