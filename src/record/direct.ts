import type { MessageEvent } from '../model/events.ts';
import { timeOfId } from '../util/ids.ts';
import type { Database } from './database.ts';
import { prepare } from './recording/prepare.ts';
import { type ChangedThread, type Execute, writeSteps } from './recording/write.ts';

/** Events of messages that went past the queue stand in no shard's log. */
const NO_SHARD = -1;

export interface DirectKey {
  readonly tenant: string;
  readonly sender: string;
  readonly key: string;
  readonly bodyDigest: Buffer;
  readonly messageId: string;
}

export interface Claim {
  /** The message that came first under the key within 24 h: this one, or an earlier one. */
  readonly messageId: string;
  readonly isFirst: boolean;
  /** The key was used for another body. */
  readonly isOtherBody: boolean;
  /** How long ago the key was claimed, ms. */
  readonly ageMs: number;
}

/** What was sent past the queue: the same rows, states and timeline as the recorder writes. */
export interface Direct {
  /**
   * Writes messages, each with all its events, in one transaction. Safe to repeat: the answer of a commit may be lost.
   * @returns conversations that changed
   */
  write(messages: readonly (readonly MessageEvent[])[]): Promise<readonly ChangedThread[]>;
  /** Claims an idempotency key for 24 h, in one atomic step. */
  claim(key: DirectKey): Promise<Claim>;
  /** Gives a key back whose message was certainly not sent. */
  release(key: DirectKey): Promise<void>;
}

/**
 * A place in a log that no engine writes, unlike that of any other message: its id is a time and a random number.
 * Written once more, its events find themselves there.
 */
function placeOf(messageId: string): { readonly shard: number; readonly entryMs: number; readonly entrySeq: number } {
  return { shard: NO_SHARD, entryMs: timeOfId(messageId) ?? 0, entrySeq: Number.parseInt(messageId.slice(-12), 16) };
}

export function directOf(database: Database): Direct {
  return {
    async write(messages) {
      const steps = messages.flatMap((events) =>
        events.map((event, entryIndex) => {
          return prepare({ position: { ...placeOf(event.messageId), entryIndex }, event });
        }),
      );
      if (steps.length === 0) return [];
      return await database.transaction(async (run) => {
        const execute: Execute = async (statement, values) => await run(statement.text, values);
        return (await writeSteps(execute, steps, true)).threads;
      });
    },

    async claim({ tenant, sender, key, bodyDigest, messageId }) {
      const [row] = await database.query<{ message_id: string; body_digest: Buffer; age_ms: number }>(
        `with old as (
           delete from direct_keys
           where ctid in (select ctid from direct_keys where claimed_at < now() - interval '24 hours' limit 100)
             and (tenant, sender, key) <> ($1, $2, $3)
         )
         insert into direct_keys as known (tenant, sender, key, body_digest, message_id)
         values ($1, $2, $3, $4, $5)
         on conflict (tenant, sender, key) do update set
           body_digest = case when known.claimed_at < now() - interval '24 hours'
             then excluded.body_digest else known.body_digest end,
           message_id = case when known.claimed_at < now() - interval '24 hours'
             then excluded.message_id else known.message_id end,
           claimed_at = case when known.claimed_at < now() - interval '24 hours' then now() else known.claimed_at end
         returning message_id, body_digest,
           (extract(epoch from now() - claimed_at) * 1000)::float8 as age_ms`,
        [tenant, sender, key, bodyDigest, messageId],
      );
      if (row === undefined) throw new Error('a claimed key has no row');
      const isFirst = row.message_id === messageId;
      const isOtherBody = !isFirst && !row.body_digest.equals(bodyDigest);
      return { messageId: row.message_id, isFirst, isOtherBody, ageMs: row.age_ms };
    },

    async release({ tenant, sender, key, messageId }) {
      await database.query(
        'delete from direct_keys where tenant = $1 and sender = $2 and key = $3 and message_id = $4',
        [tenant, sender, key, messageId],
      );
    },
  };
}
