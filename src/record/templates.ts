import { AppError } from '../errors/app-error.ts';
import { newId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { storableJson } from './recording/storable.ts';
import { isForeignKeyViolation, isUniqueViolation } from './sql-errors.ts';
import type { Page } from './types.ts';

export interface TemplateRecord {
  readonly id: string;
  /** Null = of the platform, for every tenant. */
  readonly tenant: string | null;
  /** The caller's name of it; with the language it is unique in the tenant and account. */
  readonly key: string;
  readonly language: string;
  readonly provider: 'cloud' | 'twilio';
  readonly account: string;
  readonly sender: string | null;
  readonly name: string;
  readonly category: string;
  readonly components: readonly Readonly<Record<string, unknown>>[];
  /** The provider's word, upper case; `DRAFT` = not known to be there. */
  readonly status: string;
  readonly reason: string | null;
  readonly providerId: string | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly syncedAtMs: number | null;
}

export type NewTemplateRecord = Omit<TemplateRecord, 'id' | 'createdAtMs' | 'updatedAtMs' | 'syncedAtMs'>;
export type TemplateState = Partial<
  Pick<TemplateRecord, 'status' | 'reason' | 'providerId' | 'category' | 'components'>
>;

export interface TemplateFilter {
  /** Null = of all; a tenant sees its own and the platform's. */
  readonly tenant: string | null;
  readonly key?: string | undefined;
  readonly language?: string | undefined;
  readonly status?: string | undefined;
  /** Part of the key or of the provider's name; letters of either case. */
  readonly search?: string | undefined;
  readonly category?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

export interface Templates {
  get(id: string): Promise<TemplateRecord | null>;
  /** Oldest first. */
  list(filter: TemplateFilter): Promise<Page<TemplateRecord>>;
  /** What a provider's word speaks of: all languages when it names none. */
  atProvider(of: {
    readonly provider: string;
    readonly account: string;
    readonly name?: string | undefined;
    readonly language?: string | null | undefined;
    readonly providerId?: string | null | undefined;
  }): Promise<TemplateRecord[]>;
  /** Every template of an account. */
  ofAccount(provider: string, account: string): Promise<TemplateRecord[]>;
  /** Every template in one of these states. */
  inStates(statuses: readonly string[]): Promise<TemplateRecord[]>;
  /** @throws AppError `CONFLICT` when the key or the provider's name is taken, `NOT_FOUND` for an unknown tenant */
  add(template: NewTemplateRecord): Promise<TemplateRecord>;
  /**
   * Null when it is gone, or no longer in the state `was`. `isSynced`: the provider said so just now.
   * @param was only from this state; default: from any
   */
  setState(id: string, state: TemplateState, isSynced: boolean, was?: string): Promise<TemplateRecord | null>;
  /** @param was only in this state; default: in any */
  remove(id: string, was?: string): Promise<void>;
}

interface TemplateRow extends Row {
  readonly id: string;
  readonly tenant: string | null;
  readonly key: string;
  readonly language: string;
  readonly provider: 'cloud' | 'twilio';
  readonly account: string;
  readonly sender: string | null;
  readonly name: string;
  readonly category: string;
  readonly components: readonly Readonly<Record<string, unknown>>[];
  readonly status: string;
  readonly reason: string | null;
  readonly provider_id: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly synced_at: Date | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Meta allows an account 6,000. */
const ALL_MAX = 10_000;

export function templatesOf(database: Database): Templates {
  return {
    async get(id) {
      if (!UUID.test(id)) return null;
      const [row] = await database.query<TemplateRow>('select * from templates where id = $1', [id]);
      return row === undefined ? null : fromRow(row);
    },

    async list({ tenant, key, language, status, search, category, cursor: text, limit: wanted }) {
      const cursor = openCursor(text, 1);
      if (cursor !== null && !UUID.test(cursor.keys[0] ?? ''))
        throw new AppError('REQUEST_INVALID', { field: 'cursor' });
      const conditions = new Conditions()
        .when(tenant ?? undefined, '(tenant is null or tenant = ?)')
        .when(key, 'key = ?')
        .when(language, 'language = ?')
        .when(status, 'status = ?')
        .when(category, 'category = ?')
        .when(search?.toLowerCase(), `strpos(lower(key || ' ' || name), ?) > 0`);
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) > (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<TemplateRow>(
        `select * from templates ${conditions.where} order by created_at, id limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async atProvider({ provider, account, name, language, providerId }) {
      const rows = await database.query<TemplateRow>(
        `select * from templates
         where provider = $1 and account = $2
           and (provider_id = $5 or (name = $3 and ($4::text is null or language = $4)))
         order by id`,
        [provider, account, name ?? null, language ?? null, providerId ?? null],
      );
      const exact = rows.filter((row) => row.provider_id === providerId && providerId != null);
      return (exact.length > 0 ? exact : rows).map(fromRow);
    },

    async ofAccount(provider, account) {
      const rows = await database.query<TemplateRow>(
        `select * from templates where provider = $1 and account = $2 order by id limit ${ALL_MAX}`,
        [provider, account],
      );
      return rows.map(fromRow);
    },

    async inStates(statuses) {
      const rows = await database.query<TemplateRow>(
        `select * from templates where status = any($1::text[]) order by id limit ${ALL_MAX}`,
        [statuses],
      );
      return rows.map(fromRow);
    },

    async add(template) {
      try {
        const [row] = await database.query<TemplateRow>(
          `insert into templates (id, tenant, key, language, provider, account, sender, name, category, components,
             status, reason, provider_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) returning *`,
          [
            newId(),
            template.tenant,
            template.key,
            template.language,
            template.provider,
            template.account,
            template.sender,
            template.name,
            template.category,
            storableJson(template.components),
            template.status,
            template.reason,
            template.providerId,
          ],
        );
        if (row === undefined) throw new AppError('INTERNAL');
        return fromRow(row);
      } catch (error) {
        if (isUniqueViolation(error)) {
          throw new AppError('CONFLICT', {
            detail: 'There is a template with this key, or with this name at the provider, in this language.',
            cause: error,
          });
        }
        if (isForeignKeyViolation(error)) throw new AppError('NOT_FOUND', { field: 'tenant', cause: error });
        throw error;
      }
    },

    async setState(id, { status, reason, providerId, category, components }, isSynced, was) {
      const [row] = await database.query<TemplateRow>(
        `update templates set
           status = coalesce($2, status),
           reason = case when $3 then $4 else reason end,
           provider_id = coalesce($5, provider_id),
           category = coalesce($6, category),
           components = coalesce($7, components),
           synced_at = case when $8 then now() else synced_at end,
           updated_at = date_trunc('milliseconds', now())
         where id = $1 and ($9::text is null or status = $9) returning *`,
        [
          id,
          status ?? null,
          reason !== undefined,
          reason ?? null,
          providerId ?? null,
          category ?? null,
          components === undefined || components.length === 0 ? null : storableJson(components),
          isSynced,
          was ?? null,
        ],
      );
      return row === undefined ? null : fromRow(row);
    },

    async remove(id, was) {
      await database.query('delete from templates where id = $1 and ($2::text is null or status = $2)', [
        id,
        was ?? null,
      ]);
    },
  };
}

function fromRow(row: TemplateRow): TemplateRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    key: row.key,
    language: row.language,
    provider: row.provider,
    account: row.account,
    sender: row.sender,
    name: row.name,
    category: row.category,
    components: row.components,
    status: row.status,
    reason: row.reason,
    providerId: row.provider_id,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
    syncedAtMs: row.synced_at === null ? null : row.synced_at.getTime(),
  };
}
