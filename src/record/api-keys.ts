import { createHash, randomBytes } from 'node:crypto';
import { AppError } from '../errors/app-error.ts';
import { isId, newId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row, Run } from './database.ts';
import { isForeignKeyViolation } from './sql-errors.ts';
import type { ApiKeyRecord, Page } from './types.ts';

/** So that a person, and a scanner for leaked secrets, recognises a tenant key of ours; platform keys begin `wx_`. */
const KEY_PREFIX = 'wxt_';
const KEY_BYTES = 32;
/** Shown in lists: the fixed beginning and four characters of 43, which help nobody to guess the rest. */
const SHOWN_CHARACTERS = KEY_PREFIX.length + 4;
/** A key in steady use would otherwise be written at every request. */
const LAST_USED_STEP = '1 minute';

export interface ApiKeys {
  /**
   * Makes a key. The plaintext is in this answer and nowhere else: only its SHA-256 is stored.
   * @param tenant null = a key that acts for every tenant
   * @throws AppError `NOT_FOUND` when the tenant is unknown
   */
  create(key: {
    readonly tenant: string | null;
    readonly name: string;
  }): Promise<ApiKeyRecord & { readonly key: string }>;
  /** The key that hashes to this and is not revoked, marked as used; null for any other. */
  verify(hash: Buffer): Promise<ApiKeyRecord | null>;
  /** Newest first, with revoked ones. */
  list(options?: {
    readonly tenant?: string | undefined;
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<Page<ApiKeyRecord>>;
  /**
   * Makes a successor with the same tenant and name. The old key goes on for `overlapMs` and then ends by itself.
   * Null when it is unknown or has ended.
   */
  rotate(
    id: string,
    overlapMs: number,
  ): Promise<{ readonly made: ApiKeyRecord & { readonly key: string }; readonly old: ApiKeyRecord } | null>;
  /** Ends a key for good; a second time changes nothing. Null when it is unknown. */
  revoke(id: string): Promise<ApiKeyRecord | null>;
}

/** What `verify()` looks for. A key has 256 random bits, so a plain hash cannot be searched back. */
export function hashApiKey(key: string): Buffer {
  return createHash('sha256').update(key, 'utf8').digest();
}

interface KeyRow extends Row {
  readonly id: string;
  readonly tenant: string | null;
  readonly name: string;
  readonly prefix: string;
  readonly created_at: Date;
  readonly last_used_at: Date | null;
  readonly expires_at: Date | null;
  readonly revoked_at: Date | null;
}

const COLUMNS = 'id, tenant, name, prefix, created_at, last_used_at, expires_at, revoked_at';

async function insert(
  run: Run,
  { tenant, name }: { readonly tenant: string | null; readonly name: string },
): Promise<ApiKeyRecord & { readonly key: string }> {
  const key = KEY_PREFIX + randomBytes(KEY_BYTES).toString('base64url');
  const [row] = await run<KeyRow>(
    `insert into api_keys (id, hash, tenant, name, prefix) values ($1, $2, $3, $4, $5) returning ${COLUMNS}`,
    [newId(), hashApiKey(key), tenant, name, key.slice(0, SHOWN_CHARACTERS)],
  );
  if (row === undefined) throw new AppError('INTERNAL');
  return { ...fromRow(row), key };
}

export function apiKeysOf(database: Database): ApiKeys {
  return {
    async create({ tenant, name }) {
      try {
        return await insert(database.query, { tenant, name });
      } catch (error) {
        if (!isForeignKeyViolation(error)) throw error;
        throw new AppError('NOT_FOUND', { field: 'tenant', detail: 'Create the tenant first.', cause: error });
      }
    },

    async verify(hash) {
      const [row] = await database.query<KeyRow & { is_stale: boolean }>(
        `select ${COLUMNS}, last_used_at is null or last_used_at < now() - interval '${LAST_USED_STEP}' as is_stale
         from api_keys where hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
        [hash],
      );
      if (row === undefined) return null;
      if (row.is_stale) {
        await database.query('update api_keys set last_used_at = now() where id = $1', [row.id]);
      }
      return fromRow(row);
    },

    async list({ tenant, cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 1);
      const conditions = new Conditions().when(tenant, 'tenant = ?');
      if (cursor !== null) {
        if (!cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<KeyRow>(
        `select ${COLUMNS} from api_keys ${conditions.where} order by created_at desc, id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async rotate(id, overlapMs) {
      if (!isId(id)) return null;
      return await database.transaction(async (run) => {
        const [old] = await run<KeyRow>(
          `update api_keys
           set expires_at = least(expires_at, now() + $2 * interval '1 millisecond')
           where id = $1 and revoked_at is null and (expires_at is null or expires_at > now()) returning ${COLUMNS}`,
          [id, overlapMs],
        );
        return old === undefined ? null : { made: await insert(run, old), old: fromRow(old) };
      });
    },

    async revoke(id) {
      if (!isId(id)) return null;
      const [row] = await database.query<KeyRow>(
        `update api_keys set revoked_at = coalesce(revoked_at, now()) where id = $1 returning ${COLUMNS}`,
        [id],
      );
      return row === undefined ? null : fromRow(row);
    },
  };
}

function fromRow(row: KeyRow): ApiKeyRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    name: row.name,
    prefix: row.prefix,
    createdAtMs: row.created_at.getTime(),
    lastUsedAtMs: row.last_used_at?.getTime() ?? null,
    expiresAtMs: row.expires_at?.getTime() ?? null,
    revokedAtMs: row.revoked_at?.getTime() ?? null,
  };
}
