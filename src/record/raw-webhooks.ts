import { newId } from '../util/ids.ts';
import type { Database } from './database.ts';
import { storableJson } from './recording/storable.ts';

export interface RawWebhook {
  readonly provider: string;
  /** Our id of the sender, when the webhook's address named one. */
  readonly sender: string | null;
  /** Headers worth keeping; the caller leaves secrets out. */
  readonly headers: Readonly<Record<string, string>>;
  /** The bytes exactly as they came. */
  readonly body: Buffer;
}

export interface RawWebhooks {
  /** Keeps a webhook; on disk when it resolves with the id. @throws AppError `RECORD_UNAVAILABLE` (retryable) */
  add(webhook: RawWebhook): Promise<string>;
}

export function rawWebhooksOf(database: Database): RawWebhooks {
  return {
    async add({ provider, sender, headers, body }) {
      const id = newId();
      await database.query(
        'insert into raw_webhooks (id, provider, sender, headers, body) values ($1, $2, $3, $4, $5)',
        [id, provider, sender, storableJson(headers), body],
      );
      return id;
    },
  };
}
