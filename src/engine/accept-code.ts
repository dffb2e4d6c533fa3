import { hash } from 'node:crypto';
import { sealBody } from './body.ts';
import type { Lane } from '../model/message.ts';
import type { AcceptResult, NewMessage } from './contract.ts';
import { packLane } from './lane.ts';
import type { ScriptArg } from './script-runner.ts';
import { windowsOf } from './unrecorded-index.ts';

/*
 * How accepts are written for `lua/accept.lua`, and its reply read. All of it is text: one buffer among its arguments
 * makes the client copy all of them as buffers, which costs more than all else here.
 */

export function encodeAccepts(messages: readonly NewMessage[]): ScriptArg[] {
  const windows = windowsOf(messages.map(({ id }) => id));
  const args: ScriptArg[] = [windows.length / 2, ...windows];
  for (const message of messages) {
    const { id, lane, priority, contact, expiresAtMs = '', tenantLimits: limits } = message;
    args.push(
      packLane(lane),
      `${priority}|${expiresAtMs}|${id}||${contact}|${sealBody(id, message.body)}`,
      encodeRare(message),
      `${limits.concurrency}|${limits.weight}|${limits.backlogMax}`,
    );
  }
  return args;
}

/** '' where there is neither time nor key, as nearly always. */
function encodeRare({ id, lane, sendAtMs, expiresAtMs, idempotency }: NewMessage): string {
  if (sendAtMs === undefined && expiresAtMs === undefined && idempotency === undefined) return '';
  const key = idempotency && encodeKey(id, digestOfKey(lane, idempotency.key), idempotency.bodyDigest);
  if (sendAtMs === undefined && expiresAtMs === undefined) return key ?? '';
  return `${key ?? ''}|${sendAtMs ?? ''}|${expiresAtMs ?? ''}`;
}

/** 14 characters of the key's digest, 8 of the body's, and the id in 22. */
function encodeKey(id: string, keyDigest: string, bodyDigest: Buffer): string {
  return keyDigest + bodyDigest.toString('base64url', 0, 6) + shortId(id);
}

/** 84 bits: of 10^8 keys that one shard was given in a day, two are taken for one with probability 3 · 10^-10. */
function digestOfKey({ tenant, sender }: Lane, key: string): string {
  return hash('sha256', `${tenant}|${sender}|${key}`, 'base64url').slice(0, 14);
}

/** A UUID in 22 characters; its first 8 are the 48 bits of its time. */
function shortId(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');
}

function longId(short: string): string {
  const hex = Buffer.from(short, 'base64url').toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** @returns the due time, and what became of the message with this id at this place; null = its sender is unknown */
export function decodeAccepts(
  reply: readonly unknown[],
): [dueMs: number, resultOf: (id: string, index: number) => AcceptResult | null] {
  const [due, codes, ...first] = reply as [number, string, ...string[]];
  const firstIds = new Map<number, string>();
  for (let at = 0; at < codes.length; at += 1) {
    if (codes[at] === '3' || codes[at] === '4') firstIds.set(at, longId(first[firstIds.size] ?? ''));
  }
  return [due, (id, index) => decodeResult(codes[index] ?? '', firstIds.get(index) ?? id)];
}

function decodeResult(code: string, id: string): AcceptResult | null {
  switch (code) {
    case '1':
    case '2':
      return { kind: 'accepted', id, immediate: code === '2' };
    case '3':
      return { kind: 'duplicate', id };
    case '4':
      return { kind: 'key-reused', id };
    case '5':
      return { kind: 'backlog-full' };
    case '6':
      return null;
    default:
      throw new Error(`accept replied an unknown code ${code}`);
  }
}
