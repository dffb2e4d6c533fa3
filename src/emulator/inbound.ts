import { z } from 'zod';
import { newMessageId } from './foreign-ids.ts';
import { phoneDigits, waIdOf } from './identity.ts';
import { GraphError } from './graph-error.ts';
import type { Delivery } from './outbox.ts';
import { ControlError, isPlainObject, parseControl } from './settings.ts';
import { nowMs } from './timers.ts';
import type { World } from './world.ts';

const INBOUND_TYPES = [
  'text',
  'image',
  'video',
  'audio',
  'document',
  'sticker',
  'location',
  'contacts',
  'interactive',
  'button',
  'reaction',
  'order',
  'system',
  'unsupported',
  'request_welcome',
] as const;
const MEDIA_TYPES: readonly string[] = ['image', 'video', 'audio', 'document', 'sticker'];
const WITHOUT_CONTENT: readonly string[] = ['unsupported', 'request_welcome'];

const inboundSchema = z.looseObject({
  phoneNumberId: z
    .string()
    .regex(
      /^(\d{1,32}|(evolution|twilio)\..{1,128})$/,
      'a phone number id is digits; others are evolution.<instance> or twilio.<number>',
    )
    .optional(),
  /** The customer's phone number. */
  from: z.string().max(32).optional(),
  /** The customer's business-scoped user id, beside or instead of `from`. */
  userId: z.string().min(3).max(140).optional(),
  name: z.string().max(256).optional(),
  type: z.enum(INBOUND_TYPES).default('text'),
  /** Message that is answered. */
  context: z.strictObject({ message_id: z.string().min(1).max(512) }).optional(),
  /** Click on an advertisement. */
  referral: z.record(z.string(), z.unknown()).optional(),
  /** Epoch seconds; default now. */
  timestamp: z.number().int().min(0).optional(),
  /** Answer only when the webhook was delivered or given up. */
  wait: z.boolean().default(false),
});

export type InboundInput = z.input<typeof inboundSchema>;

export interface InboundResult {
  readonly messages: [{ readonly id: string }];
  readonly contacts: [{ readonly wa_id?: string; readonly user_id?: string }];
  /** With `wait`: did the webhook answer 200. */
  readonly delivered?: boolean;
  readonly webhookStatus?: number | null;
}

/**
 * A customer writes: the message appears in the chat and a signed webhook goes out.
 * `text` may be a plain string; everything else has the shape that Meta's webhooks have. Media may carry base64 `data`
 * instead of an id. Throws `ControlError` when it is not valid.
 */
export async function receiveInbound(world: World, value: unknown): Promise<InboundResult> {
  const input = parseControl(inboundSchema, value, 'inbound message');
  const phoneNumberId = input.phoneNumberId ?? onlyNumber(world);
  const waId = input.from === undefined ? null : canonical(input.from);
  const party = waId ?? input.userId;
  if (party === undefined)
    throw new ControlError('An inbound message needs from, a phone number, or userId.', {
      problems: [{ field: 'from', detail: 'is required' }],
    });
  const content = contentOf(world, input.type, input[input.type]);
  const id = newMessageId(phoneNumberId, party, 'in');
  const atMs = nowMs();
  const number = world.numbers.get(phoneNumberId);
  number.used = true;
  if (world.settings().limits.countInbound) number.passed.add(atMs);
  world.pairs.wrote(phoneNumberId, party, atMs);
  world.totals.inbound += 1;
  const added = {
    id,
    direction: 'in' as const,
    type: input.type,
    content,
    rendered: null,
    buttons: [],
    contextId: input.context?.message_id ?? null,
    tag: null,
    status: 'sent' as const,
    fault: null,
  };
  world.conversations.add(phoneNumberId, party, added, input.name);
  const name = world.conversations.find(`${phoneNumberId}:${party}`)?.name ?? input.name ?? 'Customer';
  const who = { ...(waId === null ? {} : { wa_id: waId }), ...(input.userId ? { user_id: input.userId } : {}) };
  const message = {
    ...(waId === null ? {} : { from: waId }),
    ...(input.userId ? { from_user_id: input.userId } : {}),
    id,
    timestamp: String(input.timestamp ?? Math.floor(Date.now() / 1000)),
    type: input.type,
    ...(content === null ? {} : { [input.type]: content }),
    ...(input.context ? { context: { from: phoneNumberId, id: input.context.message_id } } : {}),
    ...(input.referral ? { referral: input.referral } : {}),
    ...(input.type === 'unsupported' ? { errors: [{ code: 131051, title: 'Message type unknown' }] } : {}),
  };
  const delivery = await new Promise<Delivery | null>((resolve) => {
    const update = {
      phoneNumberId,
      kind: 'messages' as const,
      value: message,
      contact: { profile: { name }, ...who },
    };
    world.outbox.send(update, input.wait ? resolve : null);
    if (!input.wait) resolve(null);
  });
  const shown = delivery === null ? {} : { delivered: delivery.delivered, webhookStatus: delivery.status };
  return { messages: [{ id }], contacts: [who], ...shown };
}

function canonical(from: string): string {
  const digits = phoneDigits(from);
  if (digits === null)
    throw new ControlError('from is not a phone number: write it like +491701234567.', {
      problems: [{ field: 'from', detail: 'is not a phone number' }],
    });
  return waIdOf(digits);
}

function onlyNumber(world: World): string {
  const used = world.numbers.all().filter((number) => number.used);
  const ids = new Set([...Object.keys(world.settings().numbers), ...used.map((number) => number.id)]);
  const [first] = ids;
  if (ids.size === 1 && first !== undefined) return first;
  throw new ControlError('Say which business number is written to: phoneNumberId.', {
    problems: [{ field: 'phoneNumberId', detail: 'is required unless exactly one number was used' }],
  });
}

function contentOf(world: World, type: (typeof INBOUND_TYPES)[number], value: unknown): unknown {
  if (type === 'text') {
    const text = isPlainObject(value) ? value['body'] : value;
    if (typeof text !== 'string' || text === '' || text.length > 65_536)
      throw new ControlError('text must be a text that is not empty.', {
        problems: [{ field: 'text', detail: 'must be a text that is not empty' }],
      });
    return { body: text };
  }
  if (value === undefined && WITHOUT_CONTENT.includes(type)) return null;
  if (type === 'contacts' ? !Array.isArray(value) : !isPlainObject(value))
    throw new ControlError(`A message of type ${type} needs the object ${type}, as Meta's webhooks have it.`, {
      problems: [{ field: type, detail: 'is required' }],
    });
  return MEDIA_TYPES.includes(type) && isPlainObject(value) ? mediaContent(world, type, value) : value;
}

const DEFAULT_MIME: Readonly<Record<string, string>> = {
  image: 'image/jpeg',
  video: 'video/mp4',
  audio: 'audio/ogg',
  document: 'application/pdf',
  sticker: 'image/webp',
};

function mediaContent(world: World, type: string, value: Record<string, unknown>): Record<string, unknown> {
  const { data, ...rest } = value;
  const mimeType = typeof rest['mime_type'] === 'string' ? rest['mime_type'] : (DEFAULT_MIME[type] ?? '');
  try {
    const item =
      typeof data === 'string'
        ? world.media.add(Buffer.from(data, 'base64'), mimeType, null)
        : world.media.find(String(rest['id']));
    if (!item) throw new ControlError(`${type} needs data (base64) or the id of media that was uploaded here.`);
    return { ...rest, id: item.id, mime_type: item.mimeType, sha256: item.sha256 };
  } catch (error) {
    if (error instanceof GraphError) throw new ControlError(error.details || error.message);
    throw error;
  }
}
