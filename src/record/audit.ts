import { AppError } from '../errors/app-error.ts';
import { isId, newId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { storableJson } from './recording/storable.ts';
import type { AuditRecord, Page } from './types.ts';

/** Who did what: administrative acts. Entries stay, and one that was begun is completed once. */
export interface Audit {
  /**
   * `detail` must hold no secret and no message text.
   * @returns the entry's id
   */
  add(act: {
    /** Subject of the JWT, or the key's id. */
    readonly actor: string;
    /** Verb with its area: `sender.pause`. */
    readonly action: string;
    /** Id of what it was done to. */
    readonly target: string;
    readonly tenant?: string | null | undefined;
    readonly detail?: Readonly<Record<string, unknown>> | undefined;
  }): Promise<string>;
  /** `add` for an act that follows: until `complete` tells how it ended, its detail says `state: 'begun'`. */
  begin(act: Parameters<Audit['add']>[0]): Promise<string>;
  /** Adds how a begun act ended to its detail. Safe to repeat; of two ends the first counts. */
  complete(id: string, detail: Readonly<Record<string, unknown>>): Promise<void>;
  /** Newest first. */
  list(options?: {
    readonly tenant?: string | undefined;
    readonly actor?: string | undefined;
    /** A whole action (`sender.pause`) or an area (`sender`). */
    readonly action?: string | undefined;
    readonly target?: string | undefined;
    /** Epoch ms: not before, and before. */
    readonly fromMs?: number | undefined;
    readonly toMs?: number | undefined;
    readonly cursor?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<Page<AuditRecord>>;
}

interface AuditRow extends Row {
  readonly id: string;
  readonly at: Date;
  readonly actor: string;
  readonly action: string;
  readonly target: string;
  readonly tenant: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

export function auditOf(database: Database): Audit {
  const add: Audit['add'] = async ({ actor, action, target, tenant, detail }) => {
    const id = newId();
    await database.query(
      'insert into audit (id, actor, action, target, tenant, detail) values ($1, $2, $3, $4, $5, $6)',
      [id, actor, action, target, tenant ?? null, storableJson(detail ?? {})],
    );
    return id;
  };
  return {
    add,

    begin: (act) => add({ ...act, detail: { ...act.detail, state: 'begun' } }),

    async complete(id, detail) {
      await database.query(
        "update audit set detail = (detail - 'state') || $2::jsonb where id = $1 and detail->>'state' = 'begun'",
        [id, storableJson(detail)],
      );
    },

    async list({ tenant, actor, action, target, fromMs, toMs, cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 1);
      const conditions = new Conditions()
        .when(tenant, 'tenant = ?')
        .when(actor, 'actor = ?')
        .when(target, 'target = ?')
        .when(fromMs === undefined ? undefined : new Date(fromMs), 'at >= ?')
        .when(toMs === undefined ? undefined : new Date(toMs), 'at < ?');
      if (action?.includes('.') === true) conditions.when(action, 'action = ?');
      else conditions.when(action, "split_part(action, '.', 1) = ?");
      if (cursor !== null) {
        if (!cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(at, id) < (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<AuditRow>(
        `select * from audit ${conditions.where} order by at desc, id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(
        rows.map(({ at, ...row }) => ({ ...row, atMs: at.getTime() })),
        limit,
        (last) => ({ atMs: last.atMs, keys: [last.id] }),
      );
    },
  };
}
