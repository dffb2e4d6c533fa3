import { AppError } from '../errors/app-error.ts';
import { isId } from '../util/ids.ts';
import { aliasList } from './alias-list.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import type { AliasKind, ContactRecord, Page } from './types.ts';

/** People a tenant writes to. A contact is never shared between tenants, whatever their phone numbers. */
export interface Contacts {
  /** The id of a contact that was merged into another one gives that one. `tenant` null = of any tenant. */
  get(tenant: string | null, id: string): Promise<ContactRecord | null>;
  /** The person behind a phone number, `wa_id` or user id. */
  findByAlias(tenant: string, kind: AliasKind, value: string): Promise<ContactRecord | null>;
  /** Newest first. */
  list(
    tenant: string,
    options?: { readonly cursor?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Page<ContactRecord>>;
}

interface ContactRow extends Row {
  readonly id: string;
  readonly tenant: string;
  readonly name: string | null;
  readonly aliases: ContactRecord['aliases'];
  readonly marketing_opt_out_at: Date | null;
  readonly created_at: Date;
}

const SELECT = `
  select contacts.id, contacts.tenant, contacts.name, contacts.marketing_opt_out_at, contacts.created_at,
    ${aliasList('contacts.id')} as aliases
  from contacts`;

export function contactsOf(database: Database): Contacts {
  return {
    async get(tenant, id) {
      if (!isId(id)) return null;
      const [row] = await database.query<ContactRow>(
        `${SELECT} where ($1::text is null or contacts.tenant = $1) and contacts.id = (
           select coalesce(merged_into, id) from contacts where id = $2
         )`,
        [tenant, id],
      );
      return row === undefined ? null : fromRow(row);
    },

    async findByAlias(tenant, kind, value) {
      const [row] = await database.query<ContactRow>(
        `${SELECT} join contact_aliases alias on alias.contact_id = contacts.id
         where alias.tenant = $1 and alias.kind = $2 and alias.value = $3`,
        [tenant, kind, value],
      );
      return row === undefined ? null : fromRow(row);
    },

    async list(tenant, { cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 1);
      const conditions = new Conditions().when(tenant, 'contacts.tenant = ?').add('contacts.merged_into is null');
      if (cursor !== null) {
        if (!cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(contacts.created_at, contacts.id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<ContactRow>(
        `${SELECT} ${conditions.where} order by contacts.created_at desc, contacts.id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },
  };
}

function fromRow(row: ContactRow): ContactRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    aliases: row.aliases,
    marketingOptOutAtMs: row.marketing_opt_out_at === null ? null : row.marketing_opt_out_at.getTime(),
    createdAtMs: row.created_at.getTime(),
  };
}
