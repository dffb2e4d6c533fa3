import { AppError } from '../errors/app-error.ts';
import type { SecretBox } from '../util/secret-box.ts';
import { assignments } from './assignments.ts';
import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import { type SenderRow, SENDER_COLUMNS, sealCredentials, senderFromRow, withCredentials } from './sender-row.ts';
import { isForeignKeyViolation, isUniqueViolation } from './sql-errors.ts';
import type { Page, SenderProvider, SenderRecord, SenderWithCredentials } from './types.ts';

export interface NewSender {
  readonly id: string;
  /** Null = shared by all tenants. */
  readonly tenant: string | null;
  readonly provider: SenderProvider;
  readonly externalId: string;
  readonly apiUrl: string;
  /** Evolution only; absent = baileys. */
  readonly channel?: SenderRecord['channel'] | undefined;
  readonly credentials: Readonly<Record<string, string>>;
  readonly ratePerSecond: number;
  readonly burst: number;
  readonly concurrency: number;
  readonly pairGapMs: number;
  readonly pairBucketCapacity: number;
  readonly pairBucketRefillPerSecond: number;
  readonly portfolio?: string | null | undefined;
  /** 0 … SHARDS-1. Never changed afterwards: all queue keys of the sender live there. */
  readonly shard: number;
}

/** What may change: not the id, the provider and the shard, and not the tenant, whose messages may be waiting. */
export type SenderPatch = {
  readonly [K in Exclude<keyof NewSender, 'id' | 'provider' | 'shard' | 'tenant'>]?: NewSender[K] | undefined;
} & {
  /** Why it is paused; null = it is not. */
  readonly pausedReason?: string | null | undefined;
};

export interface SenderFilter {
  /** Senders that this tenant may use: its own and the shared ones. Undefined = all. */
  readonly usableBy?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

export interface Senders {
  get(id: string): Promise<SenderRecord | null>;
  /** With opened credentials. @throws SecretBoxError when they were sealed with a key that is not at hand */
  getWithCredentials(id: string): Promise<SenderWithCredentials | null>;
  /** The sender that a provider's webhook speaks of. */
  findByExternalId(provider: SenderProvider, externalId: string): Promise<SenderRecord | null>;
  /** Oldest first. */
  list(filter?: SenderFilter): Promise<Page<SenderRecord>>;
  /** Every sender with opened credentials, for a worker's start. Those that cannot be opened are in `unreadable`. */
  all(): Promise<{ readonly senders: SenderWithCredentials[]; readonly unreadable: string[] }>;
  /** Every sender's shard: where its figures are. */
  shards(): Promise<{ readonly id: string; readonly shard: number }[]>;
  /** All of them by id, at most `limit`. */
  names(limit: number): Promise<SenderName[]>;
  /** @throws AppError `CONFLICT` when the id or the provider's number is taken, `NOT_FOUND` for an unknown tenant */
  create(sender: NewSender): Promise<SenderRecord>;
  /**
   * Creates the sender that the settings describe, or brings it up to them; an existing one keeps its shard, its
   * tenant and its pause.
   * @throws AppError `CONFLICT` when another sender has the provider's number
   */
  ensure(sender: NewSender): Promise<SenderRecord>;
  /** Changes the fields that are given. Null when the sender is unknown. @throws AppError `CONFLICT` as `create` does */
  patch(id: string, fields: SenderPatch): Promise<SenderRecord | null>;
}

/** What a list of all senders needs. */
export interface SenderName {
  readonly id: string;
  /** Null = shared. */
  readonly tenant: string | null;
  readonly provider: SenderProvider;
  readonly pausedReason: string | null;
}

const INSERT = `
  insert into senders (
    id, tenant, provider, external_id, api_url, credentials, rate_per_second, burst, concurrency, pair_gap_ms,
    pair_bucket_capacity, pair_bucket_refill_per_second, portfolio, shard, channel
  ) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`;

/** What `ensure` brings an existing sender up to. */
const UPDATE_EXISTING = `
  on conflict (id) do update set
    provider = excluded.provider, external_id = excluded.external_id, api_url = excluded.api_url,
    credentials = excluded.credentials, rate_per_second = excluded.rate_per_second, burst = excluded.burst,
    concurrency = excluded.concurrency, pair_gap_ms = excluded.pair_gap_ms,
    pair_bucket_capacity = excluded.pair_bucket_capacity,
    pair_bucket_refill_per_second = excluded.pair_bucket_refill_per_second,
    portfolio = excluded.portfolio, channel = excluded.channel, updated_at = now()`;

export function sendersOf(database: Database, box: SecretBox): Senders {
  return {
    async get(id) {
      const [row] = await database.query<SenderRow>(`select ${SENDER_COLUMNS} from senders where id = $1`, [id]);
      return row === undefined ? null : senderFromRow(row);
    },

    async getWithCredentials(id) {
      const [row] = await database.query<SenderRow>('select * from senders where id = $1', [id]);
      return row === undefined ? null : withCredentials(row, box);
    },

    async findByExternalId(provider, externalId) {
      const [row] = await database.query<SenderRow>(
        `select ${SENDER_COLUMNS} from senders where provider = $1 and external_id = $2`,
        [provider, externalId],
      );
      return row === undefined ? null : senderFromRow(row);
    },

    async list(filter = {}) {
      const cursor = openCursor(filter.cursor, 1);
      const conditions = new Conditions().when(filter.usableBy, '(tenant is null or tenant = ?)');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        conditions.add(`(created_at, id) > (${at}, ${conditions.value(cursor.keys[0])})`);
      }
      const limit = pageLimit(filter.limit);
      const rows = await database.query<SenderRow>(
        `select ${SENDER_COLUMNS} from senders ${conditions.where} order by created_at, id limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(senderFromRow), limit, (last) => ({ atMs: last.createdAtMs, keys: [last.id] }));
    },

    async all() {
      const senders: SenderWithCredentials[] = [];
      const unreadable: string[] = [];
      for (const row of await database.query<SenderRow>('select * from senders order by created_at, id')) {
        try {
          senders.push(withCredentials(row, box));
        } catch {
          unreadable.push(row.id);
        }
      }
      return { senders, unreadable };
    },

    async shards() {
      return await database.query<{ id: string; shard: number } & Row>('select id, shard from senders order by id');
    },

    async names(limit) {
      return await database.query<SenderName & Row>(
        'select id, tenant, provider, paused_reason as "pausedReason" from senders order by id limit $1',
        [limit],
      );
    },

    async create(sender) {
      return refusing(async () => {
        const [row] = await database.query<SenderRow>(
          `${INSERT} returning ${SENDER_COLUMNS}`,
          insertValues(sender, box),
        );
        return senderFromRow(required(row));
      });
    },

    async ensure(sender) {
      return refusing(async () => {
        const [row] = await database.query<SenderRow>(
          `${INSERT} ${UPDATE_EXISTING} returning ${SENDER_COLUMNS}`,
          insertValues(sender, box),
        );
        return senderFromRow(required(row));
      });
    },

    async patch(id, fields) {
      const set = assignments(
        {
          external_id: fields.externalId,
          api_url: fields.apiUrl,
          channel: fields.channel,
          credentials: fields.credentials === undefined ? undefined : sealCredentials(id, fields.credentials, box),
          rate_per_second: fields.ratePerSecond,
          burst: fields.burst,
          concurrency: fields.concurrency,
          pair_gap_ms: fields.pairGapMs,
          pair_bucket_capacity: fields.pairBucketCapacity,
          pair_bucket_refill_per_second: fields.pairBucketRefillPerSecond,
          portfolio: fields.portfolio,
          paused_reason: fields.pausedReason,
          // What a provider said before this no longer holds the sender.
          resumed_at: fields.pausedReason === null ? new Date() : undefined,
        },
        2,
      );
      if (set.values.length === 0) return this.get(id);
      return refusing(async () => {
        const [row] = await database.query<SenderRow>(
          `update senders set ${set.text}, updated_at = now() where id = $1 returning ${SENDER_COLUMNS}`,
          [id, ...set.values],
        );
        return row === undefined ? null : senderFromRow(row);
      });
    },
  };
}

/** The parameters of `INSERT`. */
function insertValues(sender: NewSender, box: SecretBox): unknown[] {
  return [
    sender.id,
    sender.tenant,
    sender.provider,
    sender.externalId,
    sender.apiUrl,
    sealCredentials(sender.id, sender.credentials, box),
    sender.ratePerSecond,
    sender.burst,
    sender.concurrency,
    sender.pairGapMs,
    sender.pairBucketCapacity,
    sender.pairBucketRefillPerSecond,
    sender.portfolio ?? null,
    sender.shard,
    sender.channel ?? null,
  ];
}

async function refusing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw new AppError('CONFLICT', {
        detail: "A sender with this id or with this provider's external id exists: change that one instead.",
        cause: error,
      });
    }
    if (isForeignKeyViolation(error)) {
      throw new AppError('NOT_FOUND', { field: 'tenant', detail: 'Create the tenant first.', cause: error });
    }
    throw error;
  }
}

function required(row: SenderRow | undefined): SenderRow {
  if (row === undefined) throw new AppError('INTERNAL');
  return row;
}
