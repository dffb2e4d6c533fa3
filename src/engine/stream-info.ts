/*
 * XINFO answers with names and values in turn. Redis 6.2 tells the least, 7.0 added `entries-read` and `lag` (null when
 * it cannot tell), 7.2 split `idle` from `inactive`: what is not there must not shift what is.
 */

export interface GroupInfo {
  readonly name: string;
  readonly consumers: number;
  readonly pending: number;
  readonly lastDeliveredId: string;
  /** Entries that the group was not given yet; null = this Redis does not tell (6.2) or does not know. */
  readonly lag: number | null;
}

export interface ConsumerInfo {
  readonly name: string;
  readonly pending: number;
  /** Since it last tried anything, ms. */
  readonly idleMs: number;
  /** Since it last got or acknowledged something; null = this Redis does not tell (before 7.2), or never. */
  readonly inactiveMs: number | null;
}

export interface StreamInfo {
  readonly length: number;
  readonly lastId: string;
}

/** Pairs of a flat list (RESP2) or a map (RESP3) by name. */
function fieldsOf(reply: unknown): Map<string, unknown> {
  if (reply instanceof Map) return new Map([...reply].map(([name, value]) => [String(name), value as unknown]));
  if (!Array.isArray(reply)) return new Map();
  const fields = new Map<string, unknown>();
  for (let i = 0; i + 1 < reply.length; i += 2) fields.set(String(reply[i]), reply[i + 1]);
  return fields;
}

function numberOrNull(value: unknown): number | null {
  return value === null || value === undefined || Number(value) < 0 ? null : Number(value);
}

function idOf(value: unknown): string {
  return typeof value === 'string' ? value : '0-0';
}

function listOf(reply: unknown): Map<string, unknown>[] {
  return Array.isArray(reply) ? reply.map((one: unknown) => fieldsOf(one)) : [];
}

export function parseGroups(reply: unknown): GroupInfo[] {
  return listOf(reply).map((fields) => ({
    name: String(fields.get('name')),
    consumers: Number(fields.get('consumers') ?? 0),
    pending: Number(fields.get('pending') ?? 0),
    lastDeliveredId: idOf(fields.get('last-delivered-id')),
    lag: numberOrNull(fields.get('lag')),
  }));
}

export function parseConsumers(reply: unknown): ConsumerInfo[] {
  return listOf(reply).map((fields) => ({
    name: String(fields.get('name')),
    pending: Number(fields.get('pending') ?? 0),
    idleMs: Number(fields.get('idle') ?? 0),
    inactiveMs: numberOrNull(fields.get('inactive')),
  }));
}

export function parseStream(reply: unknown): StreamInfo {
  const fields = fieldsOf(reply);
  return { length: Number(fields.get('length') ?? 0), lastId: idOf(fields.get('last-generated-id')) };
}
