import { openBody } from './body.ts';
import type { Grant } from './contract.ts';
import { unpackLane } from './lane.ts';

/** Reads a hand-over: lane, `attempt.counted.deferrals`, element, … as the scripts reply it. */
export function decodeGrants(shard: number, entry: string, flat: readonly string[]): Grant[] {
  const grants: Grant[] = [];
  for (let i = 0; i + 2 < flat.length; i += 3) {
    grants.push(decodeGrant(shard, entry, flat[i] ?? '', flat[i + 1] ?? '', flat[i + 2] ?? ''));
  }
  return grants;
}

/** Header of a stored message: `seq|priority|expires|id|attempts.counted.deferrals.ambiguous|contact|body`. */
const HEADER = /^\d+\|\d+\|(\d*)\|([^|]*)\|[^|]*\|([^|]*)\|/;

function decodeGrant(shard: number, entry: string, lane: string, numbers: string, element: string): Grant {
  const header = HEADER.exec(element);
  if (header === null) throw new Error(`a stored message of entry ${entry} has no readable header`);
  const [whole, expires = '', messageId = '', contact = ''] = header;
  const [attempt = 1, counted = 0, deferrals = 0] = numbers.split('.').map(Number);
  return {
    shard,
    entry,
    lane: unpackLane(lane),
    messageId,
    attempt,
    counted,
    deferrals,
    contact,
    expiresAtMs: expires === '' ? null : Number(expires),
    body: openBody(messageId, element.slice(whole.length)),
  };
}

/** Reads a mailbox item: netstrings of the entry and of the flat list. */
export function decodeMailbox(shard: number, item: Buffer): Grant[] {
  const parts: string[] = [];
  for (let at = 0; at < item.length;) {
    const colon = item.indexOf(0x3a, at);
    const length = Number(item.toString('latin1', at, colon));
    parts.push(item.toString('utf8', colon + 1, colon + 1 + length));
    at = colon + 1 + length;
  }
  const [entry = '', ...flat] = parts;
  return decodeGrants(shard, entry, flat);
}
