import { newId } from '../../util/ids.ts';
import type { Database, Row } from '../database.ts';
import { storableJson, storableText } from '../recording/storable.ts';
import { isDataError } from '../sql-errors.ts';
import { type KnownPeopleOptions, peopleOf } from './people.ts';
import {
  findOwners,
  messageRows,
  named,
  newAliasRows,
  ownerRows,
  providerEventRows,
  recordInbound,
  webhookRows,
} from './statements.ts';
import type {
  Alias,
  InboundBatch,
  InboundOutcome,
  NewInboundMessage,
  NewProviderEvent,
  RecordedInboundMessage,
  WebhookBytes,
} from './types.ts';

/** While the provider's clock and ours are this close, ours orders the chat: it has milliseconds. */
const CLOCKS_AGREE_MS = 5_000;
/** A batch of 1,000 messages takes some hundred milliseconds on a busy machine. */
const STATEMENT_MS = 30_000;
/** Below this a batch fits into the pool's usual limit, and needs no transaction of its own to have another. */
const SMALL_BATCH = 100;

/** Someone who wrote to a sender that tenants share. */
export interface Writer {
  readonly sender: string;
  readonly aliases: readonly Alias[];
  /** The provider's id of the message that it answers. */
  readonly replyTo: string | null;
}

/** Writes what came in. */
export interface InboundRecord {
  /**
   * Records a batch: messages, the webhooks that brought them, and what else they told. A repeat changes nothing.
   * One look-up at most for names that are not known yet and one statement for all rows.
   * @throws AppError `RECORD_UNAVAILABLE`: nothing is recorded
   */
  add(batch: InboundBatch): Promise<InboundOutcome>;
  /** The tenant that each writer's message is for; null = nobody wrote to this person. One query for all. */
  ownersOf(writers: readonly Writer[]): Promise<(string | null)[]>;
}

interface RecordedRow extends Row {
  readonly id: string;
  readonly conversation: string;
  readonly seq: number;
  readonly contact_id: string | null;
  readonly sender: string;
  readonly provider_message_id: string;
  readonly is_new: boolean;
  readonly is_renamed: boolean | null;
}

/** A message with every value that its row needs. */
interface Prepared {
  readonly message: NewInboundMessage;
  readonly columns: Omit<Parameters<typeof messageRows.parameters>[0][number], 'ord' | 'contact_id'>;
}

export function inboundRecordOf(database: Database, knownPeople?: KnownPeopleOptions): InboundRecord {
  const people = peopleOf(database, knownPeople);

  async function write(
    prepared: readonly Prepared[],
    webhooks: readonly WebhookBytes[],
    events: readonly NewProviderEvent[],
  ): Promise<RecordedInboundMessage[]> {
    const found = await people.resolve(prepared.map(({ message }) => message));
    const webhookIds = [...new Set(prepared.map(({ message }) => message.webhookId))];
    const rows = await database.query<RecordedRow>(
      recordInbound,
      [
        ...messageRows.parameters(
          prepared.map(({ columns }, ord) => ({ ...columns, ord, contact_id: found.contactIds[ord] ?? null })),
        ),
        ...newAliasRows.parameters(
          found.aliases.map(({ tenant, kind, value, contactId, isNew, name }) => ({
            tenant,
            kind,
            value,
            contact_id: contactId,
            is_new: isNew,
            name: name === null ? null : storableText(name),
          })),
        ),
        ...webhookRows.parameters(webhooks.map(webhookColumns)),
        ...providerEventRows.parameters(events.map(eventColumns)),
        webhookIds,
      ],
      prepared.length > SMALL_BATCH ? { timeoutMs: STATEMENT_MS } : named('record_inbound', prepared.length),
    );
    found.learn();
    const byKey = new Map(
      prepared.map(({ message }, ord) => [
        keyOf(message.sender, message.providerMessageId),
        { message, contactId: found.contactIds[ord] ?? null },
      ]),
    );
    return rows.flatMap((row) => {
      const known = byKey.get(keyOf(row.sender, row.provider_message_id));
      if (known === undefined) return [];
      const { message, contactId } = known;
      return [
        {
          id: row.id,
          tenant: message.tenant,
          sender: row.sender,
          conversation: row.conversation,
          contactId: row.contact_id,
          seq: row.seq,
          isNew: row.is_new,
          // Another process may have made the contact at the same time.
          isPersonChanged:
            row.is_renamed === true ||
            row.contact_id !== contactId ||
            (contactId !== null && found.changed.has(contactId)),
          message,
        },
      ];
    });
  }

  /** Halves a refused batch until the refused messages stand alone. */
  async function isolate(prepared: readonly Prepared[]): Promise<InboundOutcome> {
    try {
      return { recorded: await write(prepared, [], []), refused: [] };
    } catch (error) {
      const [only] = prepared;
      if (!isDataError(error) || only === undefined) throw error;
      if (prepared.length === 1) return { recorded: [], refused: [{ message: only.message, reason: reasonOf(error) }] };
      const middle = Math.ceil(prepared.length / 2);
      const first = await isolate(prepared.slice(0, middle));
      const second = await isolate(prepared.slice(middle));
      return {
        recorded: [...first.recorded, ...second.recorded],
        refused: [...first.refused, ...second.refused],
      };
    }
  }

  return {
    async add({ messages, webhooks, events }) {
      const refused: { message: NewInboundMessage; reason: string }[] = [];
      const prepared: Prepared[] = [];
      for (const message of unique(messages)) {
        try {
          prepared.push(prepare(message));
        } catch (error) {
          refused.push({ message, reason: reasonOf(error) });
        }
      }
      try {
        return { recorded: await write(prepared, webhooks, events), refused };
      } catch (error) {
        if (!isDataError(error)) throw error;
        // The webhooks themselves are kept whatever their messages are.
        await write([], webhooks, events);
        const outcome = await isolate(prepared);
        return { recorded: outcome.recorded, refused: [...refused, ...outcome.refused] };
      }
    },

    async ownersOf(writers) {
      if (writers.length === 0) return [];
      const rows = writers.flatMap(({ sender, aliases, replyTo }, ord) =>
        aliases.map(({ kind, value }) => ({ ord, sender, kind, value, reply_to: replyTo })),
      );
      const found = await database.query<{ ord: number; tenant: string }>(findOwners, ownerRows.parameters(rows), {
        name: 'find_owners',
      });
      const tenants = new Map(found.map(({ ord, tenant }) => [ord, tenant]));
      return writers.map((_writer, ord) => tenants.get(ord) ?? null);
    },
  };
}

/** One row per message: the same key twice in a statement would be an error for all. The first one counts. */
function unique(messages: readonly NewInboundMessage[]): NewInboundMessage[] {
  const byKey = new Map<string, NewInboundMessage>();
  for (const message of messages) {
    const key = keyOf(message.sender, message.providerMessageId);
    if (!byKey.has(key)) byKey.set(key, message);
  }
  return [...byKey.values()];
}

function prepare(message: NewInboundMessage): Prepared {
  const { providerAtMs, receivedAtMs } = message;
  const isFresh = Math.abs(receivedAtMs - providerAtMs) <= CLOCKS_AGREE_MS;
  const createdAtMs = isFresh ? receivedAtMs : providerAtMs;
  return {
    message,
    columns: {
      id: newId(Math.max(0, Math.min(createdAtMs, receivedAtMs))),
      tenant: message.tenant,
      sender: message.sender,
      default_conversation: storableText(message.conversation),
      provider_message_id: storableText(message.providerMessageId),
      is_echo: message.isEcho,
      type: storableText(message.type),
      content: storableJson(message.content),
      reply_to: message.replyTo === null ? null : storableText(message.replyTo),
      referral: message.referral === null ? null : storableJson(message.referral),
      provider_at: instant(providerAtMs),
      received_at: instant(receivedAtMs),
      created_at: instant(createdAtMs),
      window_until: message.windowUntilMs === null ? null : instant(message.windowUntilMs),
      name: message.name === null ? null : storableText(message.name),
      names: storableJson({
        name: message.name,
        phone: message.aliases.find(({ kind }) => kind === 'e164')?.value ?? null,
        waId: message.aliases.find(({ kind }) => kind === 'wa_id')?.value ?? null,
        userId: message.aliases.find(({ kind }) => kind === 'user_id')?.value ?? null,
      }),
      webhook_id: message.webhookId,
    },
  };
}

function webhookColumns({ id, provider, sender, receivedAtMs, headers, body, covers }: WebhookBytes) {
  return {
    id,
    provider,
    sender,
    received_at: instant(receivedAtMs),
    headers: storableJson(headers),
    body,
    covers,
  };
}

function eventColumns({ webhookId, item, provider, sender, accountId, kind, event, detail }: NewProviderEvent) {
  return {
    webhook_id: webhookId,
    item,
    provider,
    sender,
    account_id: accountId === null ? null : storableText(accountId),
    kind,
    event: storableText(event),
    detail: storableJson(detail),
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}

/** Names the kind of refusal only: error texts quote values, and these may be a person's. */
function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string') return `SQLSTATE ${code}`;
  return error instanceof Error ? error.name : 'unknown error';
}

function keyOf(sender: string, providerMessageId: string): string {
  return `${sender}\n${providerMessageId}`;
}
