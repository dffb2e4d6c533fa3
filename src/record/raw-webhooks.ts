import { newId } from '../util/ids.ts';
import { Conditions } from './conditions.ts';
import type { Database, Row } from './database.ts';
import type { WebhookBytes } from './inbound/types.ts';
import { storableJson } from './recording/storable.ts';

/** Which webhooks are meant. Times are epoch ms of their receipt. */
export interface WebhookRange {
  /** At or after. */
  readonly fromMs: number;
  /** Before. */
  readonly toMs: number;
  readonly provider?: string | undefined;
}

/** Where the last page ended. */
export interface WebhookPlace {
  readonly receivedAtMs: number;
  readonly id: string;
}

export interface RawWebhooks {
  /**
   * Keeps a webhook that could not be queued; on disk when it resolves. It stays unprocessed until a worker takes it.
   * @throws AppError `RECORD_UNAVAILABLE` (retryable)
   */
  add(webhook: Omit<WebhookBytes, 'id'> & { readonly id?: string }): Promise<string>;
  /** The oldest ones that nobody has processed, at most `limit`. */
  unprocessed(limit: number): Promise<WebhookBytes[]>;
  count(range: WebhookRange): Promise<number>;
  /** A page of a range, oldest first. */
  list(range: WebhookRange, limit: number, after: WebhookPlace | null): Promise<WebhookBytes[]>;
  /** Forgets processed ones that were received before, at most `limit`. @returns how many */
  purge(beforeMs: number, limit: number): Promise<number>;
}

interface WebhookRow extends Row {
  readonly id: string;
  readonly provider: string;
  readonly sender: string | null;
  readonly received_at: Date;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly covers: string | null;
}

const COLUMNS = 'id, provider, sender, received_at, headers, body, covers';

export function rawWebhooksOf(database: Database): RawWebhooks {
  const conditionsOf = ({ fromMs, toMs, provider }: WebhookRange) =>
    new Conditions()
      .when(new Date(fromMs), 'received_at >= ?')
      .when(new Date(toMs), 'received_at < ?')
      .when(provider, 'provider = ?');

  return {
    async add({ id = newId(), provider, sender, receivedAtMs, headers, body, covers }) {
      await database.query(
        `insert into raw_webhooks (id, provider, sender, received_at, headers, body, covers)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
        [id, provider, sender, new Date(receivedAtMs), storableJson(headers), body, covers],
      );
      return id;
    },

    async unprocessed(limit) {
      const rows = await database.query<WebhookRow>(
        `select ${COLUMNS} from raw_webhooks where processed_at is null order by received_at limit $1`,
        [limit],
      );
      return rows.map(fromRow);
    },

    async count(range) {
      const { where, values } = conditionsOf(range);
      const [row] = await database.query<{ count: number }>(
        `select count(*) as count from raw_webhooks ${where}`,
        values,
        { timeoutMs: 30_000 },
      );
      return row?.count ?? 0;
    },

    async list(range, limit, after) {
      const conditions = conditionsOf(range);
      if (after !== null) {
        const at = conditions.value(new Date(after.receivedAtMs));
        conditions.add(`(received_at, id) > (${at}, ${conditions.value(after.id)})`);
      }
      const rows = await database.query<WebhookRow>(
        `select ${COLUMNS} from raw_webhooks ${conditions.where} order by received_at, id limit ${Math.trunc(limit)}`,
        conditions.values,
      );
      return rows.map(fromRow);
    },

    async purge(beforeMs, limit) {
      const rows = await database.query(
        `delete from raw_webhooks where id in (
           select id from raw_webhooks where received_at < $1 and processed_at is not null order by received_at limit $2
         ) returning id`,
        [new Date(beforeMs), limit],
        { timeoutMs: 30_000 },
      );
      return rows.length;
    },
  };
}

function fromRow(row: WebhookRow): WebhookBytes {
  return {
    id: row.id,
    provider: row.provider,
    sender: row.sender,
    receivedAtMs: row.received_at.getTime(),
    headers: row.headers,
    body: row.body,
    covers: row.covers,
  };
}
