import { UnreadableItem } from '../collector.ts';
import type { InboundMessage, ProviderEvent } from '../events.ts';
import { asObject, asText, asWholeNumber, without } from '../json.ts';
import { keyOf, personOf } from './addresses.ts';
import { readContent } from './content.ts';

/** What stands beside the data of an event. */
export interface Context {
  readonly instance: string;
  readonly receivedAtMs: number;
  /** Orders the events of one server, ms: its `date_time`, which is local time and no instant, else that of arrival. */
  readonly orderMs: number;
}

type Item = Readonly<Record<string, unknown>>;

/** `messages.upsert`: a person wrote, or the business did from its own phone (`fromMe`). */
export function readUpsert(data: Item, context: Context): ProviderEvent {
  const key = keyOf(data);
  const isEcho = key['fromMe'] === true;
  const { type, content, contextInfo } = readContent(data);
  return {
    kind: 'message',
    message: {
      externalSenderId: context.instance,
      providerMessageId: idOf(key),
      // The name beside an own message is our own.
      contact: personOf(data, isEcho ? null : asText(data['pushName'], 512)),
      atMs: secondsOf(data['messageTimestamp']) ?? context.receivedAtMs,
      type,
      content,
      replyTo: answeredBy(type, content, contextInfo),
      referral: referralOf(contextInfo),
      isEcho,
    },
  };
}

/** `messages.edited`: the key of the edited message and its new content. */
export function readEdit(data: Item, context: Context): ProviderEvent {
  const key = keyOf(data);
  const original = idOf(key);
  const { content } = readContent({ message: data['editedMessage'] ?? data['message'] });
  return changeEvent(data, context, 'edit', original, content);
}

/** `messages.delete`: the key of a message that was taken back. */
export function readDelete(data: Item, context: Context): ProviderEvent {
  const key = keyOf(data);
  const original = idOf(key);
  if (key['fromMe'] !== true) return changeEvent(data, context, 'revoke', original, {});
  const common = { externalSenderId: context.instance, providerMessageId: original, status: 'deleted' };
  // The time beside it is that of the message.
  return {
    kind: 'status',
    status: { ...common, atMs: context.receivedAtMs, isTimeOurs: true, tag: null, error: null },
  };
}

/** The change gets an id of its own, made of what it changes, so that a repeat is the same one. */
function changeEvent(
  data: Item,
  context: Context,
  type: 'edit' | 'revoke',
  original: string,
  content: Readonly<Record<string, unknown>>,
): ProviderEvent {
  const key = keyOf(data);
  const stamp = asWholeNumber(longOf(data['timestampMs'])) ?? asWholeNumber(longOf(data['messageTimestamp']));
  const message: InboundMessage = {
    externalSenderId: context.instance,
    providerMessageId: `${type}:${original}${type === 'edit' && stamp !== null ? `:${stamp}` : ''}`,
    contact: personOf(data, null),
    atMs: context.receivedAtMs,
    type,
    content: { original_message_id: original, ...(Object.keys(content).length === 0 ? {} : { message: content }) },
    replyTo: original,
    referral: null,
    isEcho: key['fromMe'] === true,
  };
  return { kind: 'message', message };
}

/** Epoch seconds as a number, as text or as the two halves of a 64-bit number; in ms, or null. */
export function secondsOf(value: unknown): number | null {
  const seconds = asWholeNumber(longOf(value));
  return seconds === null || seconds === 0 || seconds > 100_000_000_000 ? null : seconds * 1000;
}

function longOf(value: unknown): unknown {
  return asObject(value)?.['low'] ?? value;
}

function idOf(key: Item): string {
  const id = asText(key['id'], 480);
  if (id === null) throw new UnreadableItem('it has no id');
  return id;
}

function answeredBy(type: string, content: Item, contextInfo: Item | null): string | null {
  if (type === 'reaction') return asText(content['message_id'], 512);
  if (type === 'edit' || type === 'revoke') return asText(content['original_message_id'], 512);
  return asText(contextInfo?.['stanzaId'], 512);
}

/** A click on an advertisement, in the Cloud API's words; what Evolution gives beyond is kept. */
function referralOf(contextInfo: Item | null): Record<string, unknown> | null {
  const ad = asObject(contextInfo?.['externalAdReply']);
  // Link previews use the same object; only advertisements name their source.
  if (ad === null || (ad['sourceId'] === undefined && ad['ctwaClid'] === undefined)) return null;
  const { title, body, sourceUrl, sourceId, sourceType, ctwaClid, ...rest } = without(ad, 'thumbnail');
  const words = {
    headline: title,
    body,
    source_url: sourceUrl,
    source_id: sourceId,
    source_type: sourceType,
    ctwa_clid: ctwaClid,
  };
  return { ...rest, ...Object.fromEntries(Object.entries(words).filter(([, value]) => value !== undefined)) };
}
