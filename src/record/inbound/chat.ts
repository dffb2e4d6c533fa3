import { AppError } from '../../errors/app-error.ts';
import { isId } from '../../util/ids.ts';
import { Conditions } from '../conditions.ts';
import { openCursor, page, pageLimit } from '../cursor.ts';
import type { Database, Row } from '../database.ts';
import type { Messages } from '../messages.ts';
import type { Page, RecordedMessage } from '../types.ts';

/** A message that came in, as the record has it. */
export interface InboundMessageRecord {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contactId: string | null;
  readonly providerMessageId: string;
  readonly isEcho: boolean;
  readonly type: string;
  readonly content: unknown;
  readonly replyTo: string | null;
  readonly referral: Readonly<Record<string, unknown>> | null;
  readonly providerAtMs: number;
  readonly receivedAtMs: number;
  readonly createdAtMs: number;
  readonly readAtMs: number | null;
}

export type ChatItem =
  | { readonly direction: 'outbound'; readonly message: RecordedMessage }
  | { readonly direction: 'inbound'; readonly message: InboundMessageRecord };

/** What was said, and nothing of what became of it. */
export interface SaidItem {
  readonly id: string;
  /** The person wrote it, not the business on its own phone. */
  readonly isFromPerson: boolean;
  readonly type: string;
  readonly content: unknown;
  readonly createdAtMs: number;
}

export interface ConversationKey {
  readonly tenant: string;
  readonly sender: string;
  readonly id: string;
}

/** A conversation as people read it: what was sent and what came in, in one list. */
export interface Chat {
  /** Newest first. @throws AppError `REQUEST_INVALID` for a cursor that no page gave */
  list(
    key: ConversationKey,
    options?: { readonly cursor?: string | undefined; readonly limit?: number | undefined },
  ): Promise<Page<ChatItem>>;
  /** The newest of both directions, newest first: the same messages as those of `list()`, in one query. */
  newest(key: ConversationKey, limit: number): Promise<SaidItem[]>;
  /**
   * Marks everything that came in as read.
   * @returns the provider's id of the newest message from the person; null when there is none
   */
  markRead(key: ConversationKey): Promise<string | null>;
}

interface InboundRow extends Row {
  readonly id: string;
  readonly tenant: string;
  readonly sender: string;
  readonly conversation: string;
  readonly contact_id: string | null;
  readonly provider_message_id: string;
  readonly is_echo: boolean;
  readonly type: string;
  readonly content: unknown;
  readonly reply_to: string | null;
  readonly referral: Readonly<Record<string, unknown>> | null;
  readonly provider_at: Date;
  readonly received_at: Date;
  readonly created_at: Date;
  readonly read_at: Date | null;
}

/** A provider that echoes what was sent through us tells nothing new: the message itself is in the list. */
const IS_NEWS = `not (inbound.is_echo and exists (
  select from provider_messages known
  where known.provider_message_id = inbound.provider_message_id and known.message_id is not null
))`;

interface SaidRow extends Row {
  readonly id: string;
  readonly is_from_person: boolean;
  readonly type: string;
  readonly content: unknown;
  readonly created_at: Date;
}

export function chatOf(database: Database, messages: Pick<Messages, 'list'>): Chat {
  async function inbound({ tenant, sender, id }: ConversationKey, cursorText: string | undefined, limit: number) {
    const cursor = openCursor(cursorText, 1);
    if (cursor !== null && !cursor.keys.every(isId)) throw new AppError('REQUEST_INVALID', { field: 'cursor' });
    const conditions = new Conditions()
      .when(tenant, 'inbound.tenant = ?')
      .when(sender, 'inbound.sender = ?')
      .when(id, 'inbound.conversation = ?')
      .add(IS_NEWS);
    if (cursor !== null) {
      const at = conditions.value(new Date(cursor.atMs));
      conditions.add(`(inbound.created_at, inbound.id) < (${at}, ${conditions.value(cursor.keys[0])})`);
    }
    const rows = await database.query<InboundRow>(
      `select inbound.* from inbound_messages inbound ${conditions.where}
       order by inbound.created_at desc, inbound.id desc limit ${limit}`,
      conditions.values,
    );
    return rows.map(fromRow);
  }

  return {
    async list(key, { cursor, limit: wanted } = {}) {
      const limit = pageLimit(wanted);
      // Both lists have the same order and the same cursor, so the newest of both are the newest of all.
      const [sent, came] = await Promise.all([
        messages.list({ tenant: key.tenant, sender: key.sender, conversation: key.id, cursor, limit }),
        inbound(key, cursor, limit + 1),
      ]);
      const items: ChatItem[] = [
        ...sent.items.map((message) => ({ direction: 'outbound' as const, message })),
        ...came.map((message) => ({ direction: 'inbound' as const, message })),
      ].sort((a, b) => b.message.createdAtMs - a.message.createdAtMs || (a.message.id < b.message.id ? 1 : -1));
      const result = page(items, limit, ({ message }) => ({ atMs: message.createdAtMs, keys: [message.id] }));
      if (result.next !== null || sent.next === null) return result;
      // A full page of sent messages alone: its own cursor goes on.
      return { items: result.items, next: sent.next };
    },

    async newest({ tenant, sender, id }, limit) {
      const order = `order by created_at desc, id desc limit ${Math.trunc(limit)}`;
      const rows = await database.query<SaidRow>(
        `(select id, false as is_from_person, type, content, created_at from messages
          where tenant = $1 and sender = $2 and conversation = $3 ${order})
         union all
         (select id, not is_echo, type, content, created_at from inbound_messages inbound
          where tenant = $1 and sender = $2 and conversation = $3 and ${IS_NEWS} ${order})
         ${order}`,
        [tenant, sender, id],
      );
      return rows.map((row) => ({
        id: row.id,
        isFromPerson: row.is_from_person,
        type: row.type,
        content: row.content,
        createdAtMs: row.created_at.getTime(),
      }));
    },

    async markRead({ tenant, sender, id }) {
      const [row] = await database.query<{ provider_message_id: string | null }>(
        `with marked as (
           update inbound_messages set read_at = now()
           where tenant = $1 and sender = $2 and conversation = $3 and read_at is null and not is_echo
         ),
         thread as (
           update conversations set unread = 0 where tenant = $1 and sender = $2 and id = $3 and unread > 0
         )
         select provider_message_id from inbound_messages
         where tenant = $1 and sender = $2 and conversation = $3 and not is_echo
         order by created_at desc, id desc limit 1`,
        [tenant, sender, id],
      );
      return row?.provider_message_id ?? null;
    },
  };
}

function fromRow(row: InboundRow): InboundMessageRecord {
  return {
    id: row.id,
    tenant: row.tenant,
    sender: row.sender,
    conversation: row.conversation,
    contactId: row.contact_id,
    providerMessageId: row.provider_message_id,
    isEcho: row.is_echo,
    type: row.type,
    content: row.content,
    replyTo: row.reply_to,
    referral: row.referral,
    providerAtMs: row.provider_at.getTime(),
    receivedAtMs: row.received_at.getTime(),
    createdAtMs: row.created_at.getTime(),
    readAtMs: row.read_at === null ? null : row.read_at.getTime(),
  };
}
