import type { SecretBox } from '../util/secret-box.ts';
import type { Row } from './database.ts';
import { senderContext } from './sealed.ts';
import type { SenderProvider, SenderRecord, SenderWithCredentials } from './types.ts';

export interface SenderRow extends Row {
  readonly id: string;
  readonly tenant: string | null;
  readonly provider: SenderProvider;
  readonly external_id: string;
  readonly api_url: string;
  readonly channel: SenderRecord['channel'];
  readonly credentials: Buffer;
  readonly rate_per_second: number;
  readonly burst: number;
  readonly concurrency: number;
  readonly pair_gap_ms: number;
  readonly pair_bucket_capacity: number;
  readonly pair_bucket_refill_per_second: number;
  readonly portfolio: string | null;
  readonly shard: number;
  readonly paused_reason: string | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Only these are read where credentials are not asked for. */
export const SENDER_COLUMNS = `
  id, tenant, provider, external_id, api_url, channel, rate_per_second, burst, concurrency, pair_gap_ms, pair_bucket_capacity,
  pair_bucket_refill_per_second, portfolio, shard, paused_reason, created_at, updated_at`;

export function senderFromRow(row: SenderRow): SenderRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    provider: row.provider,
    externalId: row.external_id,
    apiUrl: row.api_url,
    channel: row.channel,
    ratePerSecond: row.rate_per_second,
    burst: row.burst,
    concurrency: row.concurrency,
    pairGapMs: row.pair_gap_ms,
    pairBucketCapacity: row.pair_bucket_capacity,
    pairBucketRefillPerSecond: row.pair_bucket_refill_per_second,
    portfolio: row.portfolio,
    shard: row.shard,
    pausedReason: row.paused_reason,
    createdAtMs: row.created_at.getTime(),
    updatedAtMs: row.updated_at.getTime(),
  };
}

/** @throws SecretBoxError when they were sealed with a key that is not at hand */
export function withCredentials(row: SenderRow, box: SecretBox): SenderWithCredentials {
  const credentials = box.open(row.credentials, senderContext(row.id));
  return { ...senderFromRow(row), credentials: JSON.parse(credentials) as Record<string, string> };
}

/** @param id the sender that they belong to: in another's row they do not open */
export function sealCredentials(id: string, credentials: Readonly<Record<string, string>>, box: SecretBox): Buffer {
  return box.seal(JSON.stringify(credentials), senderContext(id));
}
