import type { Database, Row } from './database.ts';

/** What a template became at its provider. */
export interface ContentSid {
  readonly key: string;
  /** Hash of the template's data. */
  readonly signature: string;
  /** The provider's id: `HX…` at Twilio. */
  readonly sid: string;
  readonly friendlyName: string | null;
}

export interface ContentSids {
  find(key: string, signature: string): Promise<ContentSid | null>;
  /** Keeps it, unless another process was first; the one that is kept is the answer. */
  add(content: ContentSid): Promise<ContentSid>;
  /** Counts uses, for the warm-up at start. */
  used(uses: readonly { readonly key: string; readonly signature: string; readonly count: number }[]): Promise<void>;
  /** Most used first. */
  mostUsed(limit: number): Promise<ContentSid[]>;
  figures(): Promise<{ readonly entries: number; readonly keys: number; readonly newestAtMs: number | null }>;
}

interface SidRow extends Row {
  readonly key: string;
  readonly signature: string;
  readonly sid: string;
  readonly friendly_name: string | null;
}

const COLUMNS = 'key, signature, sid, friendly_name';

export function contentSidsOf(database: Database): ContentSids {
  const find = async (key: string, signature: string): Promise<ContentSid | null> => {
    const [row] = await database.query<SidRow>(
      `select ${COLUMNS} from content_sids where key = $1 and signature = $2`,
      [key, signature],
    );
    return row === undefined ? null : fromRow(row);
  };
  return {
    find,
    async add(content) {
      const { key, signature, sid, friendlyName } = content;
      await database.query(
        `insert into content_sids (key, signature, sid, friendly_name) values ($1, $2, $3, $4) on conflict do nothing`,
        [key, signature, sid, friendlyName],
      );
      return (await find(key, signature)) ?? content;
    },
    async used(uses) {
      if (uses.length === 0) return;
      await database.query(
        `update content_sids set uses = uses + u.count, used_at = now()
         from unnest($1::text[], $2::text[], $3::bigint[]) as u (key, signature, count)
         where content_sids.key = u.key and content_sids.signature = u.signature`,
        [uses.map(({ key }) => key), uses.map(({ signature }) => signature), uses.map(({ count }) => count)],
      );
    },
    async mostUsed(limit) {
      const rows = await database.query<SidRow>(`select ${COLUMNS} from content_sids order by uses desc limit $1`, [
        limit,
      ]);
      return rows.map(fromRow);
    },
    async figures() {
      const [row] = await database.query<{ entries: number; keys: number; newest: Date | null }>(
        `select count(*)::int as entries, count(distinct key)::int as keys, max(created_at) as newest from content_sids`,
      );
      return { entries: row?.entries ?? 0, keys: row?.keys ?? 0, newestAtMs: row?.newest?.getTime() ?? null };
    },
  };
}

function fromRow({ friendly_name: friendlyName, ...row }: SidRow): ContentSid {
  return { key: row.key, signature: row.signature, sid: row.sid, friendlyName };
}
