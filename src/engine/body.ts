import { crc32 } from 'node:zlib';

/*
 * Redis stores no checksum of its own per record: a bit that flips in the append-only file loads silently (measured).
 * So every body carries one, over the id too, and a body that fails it is never sent.
 */
const CRC_LENGTH = 8;

export function sealBody(id: string, body: string): string {
  return checksum(id, body) + body;
}

/** @returns the body, or null when it is not what was accepted under this id */
export function openBody(id: string, sealed: string): string | null {
  const body = sealed.slice(CRC_LENGTH);
  return sealed.slice(0, CRC_LENGTH) === checksum(id, body) ? body : null;
}

function checksum(id: string, body: string): string {
  return crc32(body, crc32(id)).toString(16).padStart(CRC_LENGTH, '0');
}
