import { aliasList } from './alias-list.ts';
import { hasServiceWindow } from '../model/service-window.ts';
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
  /** The one under this id that was active last; a conversation id is unique per tenant and sender only. */
  find(filter: {
    /** Null = of any tenant. */
    readonly tenant: string | null;
    readonly sender?: string | undefined;
    readonly id: string;
  }): Promise<ConversationRecord | null>;
  /**
   * Until when free-form messages may go to a person on a sender, epoch ms: the latest of all conversations of that
   * person there, whoever's they are. Null = the person never wrote to this sender.
   */
  windowOf(person: {
    readonly tenant: string;
    readonly sender: string;
    readonly conversation: string;
    /** Numbers and user ids, in any form that is known. */
    readonly names: readonly string[];
  }): Promise<number | null>;
  /** The one that was last active first. `tenant` null = of every tenant. A page is a snapshot: a conversation that becomes active moves to the front. */
  list(
    tenant: string | null,
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
  readonly last_inbound_at: Date | null;
  readonly window_expires_at: Date | null;
  readonly person_window_expires_at: Date | null;
  /** Null = the sender was deleted. */
  readonly provider: string | null;
  readonly unread: number;
  readonly updated_at: Date;
  readonly contact_name: string | null;
  readonly aliases: ConversationRecord['aliases'];
}

/** The window is the person's: open in all their conversations with a sender, whichever of them they wrote in. */
const SELECT = `
  select thread.*, contact.name as contact_name,
    ${aliasList('contact.id')} as aliases,
    (
      select max(own.window_expires_at) from conversations own
      where own.contact_id = thread.contact_id and own.sender = thread.sender
    ) as person_window_expires_at,
    (select provider from senders where senders.id = thread.sender) as provider
  from conversations thread left join contacts contact on contact.id = thread.contact_id`;

/** Both ways to a person are needed: a first message finds nobody by its conversation, an own id nobody by number. */
const WINDOW_OF = `
  with person as (
    select contact_id from conversations where tenant = $1 and sender = $2 and id = $3
    union
    select coalesce(contact.merged_into, contact.id) from contact_aliases
    join contacts contact on contact.id = contact_aliases.contact_id
    where kind in ('e164', 'wa_id', 'user_id') and value = any($4::text[])
  )
  select max(window_expires_at) as window_expires_at from conversations
  where sender = $2 and contact_id in (select contact_id from person)`;

export function conversationsOf(database: Database): Conversations {
  return {
    async windowOf({ tenant, sender, conversation, names }) {
      const [row] = await database.query<{ window_expires_at: Date | null }>(
        WINDOW_OF,
        [tenant, sender, conversation, [...new Set(names)]],
        { name: 'window_of' },
      );
      return row?.window_expires_at?.getTime() ?? null;
    },

    async get({ tenant, sender, id }) {
      const [row] = await database.query<ConversationRow>(
        `${SELECT} where thread.tenant = $1 and thread.sender = $2 and thread.id = $3`,
        [tenant, sender, id],
      );
      return row === undefined ? null : fromRow(row);
    },

    async find({ tenant, sender, id }) {
      const conditions = new Conditions()
        .when(tenant ?? undefined, 'thread.tenant = ?')
        .when(sender, 'thread.sender = ?')
        .when(id, 'thread.id = ?');
      const [row] = await database.query<ConversationRow>(
        `${SELECT} ${conditions.where} order by thread.last_message_at desc, thread.sender desc limit 1`,
        conditions.values,
      );
      return row === undefined ? null : fromRow(row);
    },

    async list(tenant, { sender, cursor: text, limit: wanted } = {}) {
      const cursor = openCursor(text, 3);
      const conditions = new Conditions()
        .when(tenant ?? undefined, 'thread.tenant = ?')
        .when(sender, 'thread.sender = ?');
      if (cursor !== null) {
        const at = conditions.value(new Date(cursor.atMs));
        const keys = cursor.keys.map((key) => conditions.value(key)).join(', ');
        conditions.add(`(thread.last_message_at, thread.sender, thread.id, thread.tenant) < (${at}, ${keys})`);
      }
      const limit = pageLimit(wanted);
      const rows = await database.query<ConversationRow>(
        `${SELECT} ${conditions.where}
         order by thread.last_message_at desc, thread.sender desc, thread.id desc, thread.tenant desc
         limit ${limit + 1}`,
        conditions.values,
      );
      return page(rows.map(fromRow), limit, (last) => ({
        atMs: last.lastMessageAtMs,
        keys: [last.sender, last.id, last.tenant],
      }));
    },
  };
}

function fromRow(row: ConversationRow): ConversationRecord {
  const windowExpiresAt = row.person_window_expires_at ?? row.window_expires_at;
  return {
    tenant: row.tenant,
    sender: row.sender,
    id: row.id,
    contactId: row.contact_id,
    messagesOut: row.messages_out,
    messagesIn: row.messages_in,
    createdAtMs: row.created_at.getTime(),
    lastMessageAtMs: row.last_message_at.getTime(),
    lastInboundAtMs: row.last_inbound_at === null ? null : row.last_inbound_at.getTime(),
    hasWindow: row.provider === null || hasServiceWindow(row.provider),
    windowExpiresAtMs: windowExpiresAt === null ? null : windowExpiresAt.getTime(),
    unread: row.unread,
    updatedAtMs: row.updated_at.getTime(),
    contactName: row.contact_name,
    aliases: row.aliases,
  };
}
