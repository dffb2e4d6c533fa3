/*
 * Which of a cluster's 16,384 slots a key lies in: CRC16 (XMODEM) of its hash tag. As CLUSTER KEYSLOT says it, without
 * asking; a test compares the two.
 */

const SLOTS = 16_384;

export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const end = open < 0 ? -1 : key.indexOf('}', open + 1);
  const tag = end > open + 1 ? key.slice(open + 1, end) : key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit += 1)
      crc = (crc & 0x8000) === 0 ? (crc << 1) & 0xffff : ((crc << 1) ^ 0x1021) & 0xffff;
  }
  return crc % SLOTS;
}
