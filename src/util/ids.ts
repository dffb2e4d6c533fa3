import { randomFillSync } from 'node:crypto';

// Random bytes are fetched for many ids at once: a call for each took more time than all the rest of an id.
const pool = Buffer.alloc(16 * 256);
let poolAt = pool.length;

/** Message ids, tenant-generated resource ids: UUIDv7 as text (RFC 9562), so that they sort by time of creation. */
export function newId(nowMs: number = Date.now()): string {
  if (poolAt === pool.length) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const bytes = pool.subarray(poolAt, poolAt + 16);
  poolAt += 16;
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Is this text shaped like one of our ids. */
export function isId(text: string): boolean {
  return UUID.test(text);
}

/** When an id was made, epoch ms: the first 48 bits of a UUIDv7. Null for a text that is not one of our ids. */
export function timeOfId(id: string): number | null {
  return isId(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : null;
}
