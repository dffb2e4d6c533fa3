import { createHmac, timingSafeEqual } from 'node:crypto';
import { isId } from '../util/ids.ts';
import { isTraceparent } from '../util/traces.ts';

/**
 * The tag travels with a message to the provider, comes back in its status webhooks and proves that the status
 * belongs to one attempt of ours: `v1.<message id>.<attempt>[.<hand-over>[.<trace context>]].<8 bytes of HMAC-SHA256, base64url>`.
 * A webhook is signed by the provider, but the tag in it is text that another application of the same account may
 * have chosen; eight bytes of HMAC make guessing one hopeless.
 */
export interface TagContent {
  readonly messageId: string;
  /** Number of the attempt, from 1. */
  readonly attempt: number;
  /** Stream entry of the hand-over, `<ms>-<n>`: by it the engine finds an attempt that is still in flight. */
  readonly entry?: string;
  /** W3C trace context of the attempt, only while traces are recorded: the statuses hang on it. */
  readonly traceparent?: string;
}

/** The key of tags. Several while keys are rotated: the first makes tags, all of them read. */
export type TagKey = Buffer | readonly [Buffer, ...Buffer[]];

const PREFIX = 'v1';
const HMAC_BYTES = 8;
/** Longer texts are not ours; bounds the work on foreign tags. Ours have 160 characters at most. */
const TAG_CHARACTERS_MAX = 180;

function sign(signed: string, key: Buffer): Buffer {
  return createHmac('sha256', key).update(signed).digest().subarray(0, HMAC_BYTES);
}

/** Makes the tag of one attempt. The same input gives the same tag. */
export function makeTag({ messageId, attempt, entry, traceparent }: TagContent, tagKey: TagKey): string {
  const key = Buffer.isBuffer(tagKey) ? tagKey : tagKey[0];
  const trace = entry === undefined || traceparent === undefined ? '' : `.${traceparent}`;
  const signed = `${PREFIX}.${messageId}.${attempt}${entry === undefined ? '' : `.${entry}`}${trace}`;
  return `${signed}.${sign(signed, key).toString('base64url')}`;
}

/** Reads a tag that a webhook brought back; null when it is not ours or was not made with this key. */
export function readTag(text: string, tagKey: TagKey): TagContent | null {
  if (text.length > TAG_CHARACTERS_MAX) return null;
  const parts = text.split('.');
  const mac = parts.pop() ?? '';
  const [prefix, messageId = '', attemptText = '', entry, traceparent, ...rest] = parts;
  if (prefix !== PREFIX || rest.length > 0) return null;
  if (!isId(messageId) || !/^[1-9]\d{0,8}$/.test(attemptText)) return null;
  if (entry !== undefined && !/^\d{1,20}-\d{1,20}$/.test(entry)) return null;
  if (traceparent !== undefined && !isTraceparent(traceparent)) return null;
  const keys = Buffer.isBuffer(tagKey) ? [tagKey] : tagKey;
  if (!keys.some((key) => isMacOf(mac, parts.join('.'), key))) return null;
  return {
    messageId,
    attempt: Number(attemptText),
    ...(entry === undefined ? {} : { entry }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

function isMacOf(mac: string, signed: string, key: Buffer): boolean {
  const given = Buffer.from(mac, 'base64url');
  const expected = sign(signed, key);
  // The text is compared too: several base64url texts decode to the same bytes, and only one of them is ours.
  return given.length === HMAC_BYTES && timingSafeEqual(given, expected) && mac === expected.toString('base64url');
}
