import { createHash } from 'node:crypto';
import type { Keys } from '../config/index.ts';
import type { TagKey } from '../providers/tag.ts';

/** Every process must make and read the same tags, so their key comes from the one secret that they share. */
export function tagKeyOf(keys: Keys): TagKey {
  const derive = (secret: string) => createHash('sha256').update(`waxwing tag ${secret}`).digest();
  // Statuses of messages that were sent before the key was changed go on proving themselves.
  return [derive(keys.secretKey), ...keys.previousSecretKeys.map(derive)];
}
