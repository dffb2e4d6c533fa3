import { Conditions } from './conditions.ts';
import { openCursor, page, pageLimit } from './cursor.ts';
import type { Database, Row } from './database.ts';
import type { ConversationRecord, Page } from './types.ts';

export interface Conversations {
  get(key: {
    readonly tenant: string;
    readonly sender: string;
    readonly id: string;
  }): Promise<ConversationRecord | null>;
  /** The one that was last active first. A page is a snapshot: a conversation that becomes active moves to the front. */
  list(
    tenant: string,
    options?: {
      readonly sender?: string | undefined;
      readonly cursor?: string | undefined;
      readonly limit?: number | undefined;
    },
  ): Promise<Page<ConversationRecord>>;
}

interface ConversationRow extends Row {
  readonly tenant: string;
  readonly sender: string;
  readonly id: string;
  readonly contact_id: string | null;
  readonly messages_out: number;
  readonly messages_in: number;
  readonly created_at: Date;
  readonly last_message_at: Date;
}

export function conversationsOf(database: Database): Conversations {
  return {
    async get({ tenant, sender, id }) {
      const [row] = await database.query<ConversationRow>(
        'select * from conversations where tenant = $1 and sender = $2 and id = $3',
        [tenant, sender, id],
      );
      return row === undefined ? null : fromRow(row);
    },

    async list(tenant, { sender, cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 2);
      const conditions = new Conditions().when(tenant, 'tenant = ?').when(sender, 'sender = ?');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        const keys = cursor.keys.map((key) => conditions.value(key)).join(', ');
        conditions.add(`(last_message_at, sender, id) < (${at}, ${keys})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<ConversationRow>(
        `select * from conversations ${conditions.where}
         order by last_message_at desc, sender desc, id desc limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({ atMs: last.lastMessageAtMs, keys: [last.sender, last.id] }));
    },
  };
}

function fromRow(row: ConversationRow): ConversationRecord {
  return {
    tenant: row.tenant,
    sender: row.sender,
    id: row.id,
    contactId: row.contact_id,
    messagesOut: row.messages_out,
    messagesIn: row.messages_in,
    createdAtMs: row.created_at.getTime(),
    lastMessageAtMs: row.last_message_at.getTime(),
  };
}
