import { createHash } from 'node:crypto';

/*
 * Dictionary of what the cache keeps in its Redis database. Entries stand under their own keys (`salon:s1`), so that a
 * person finds them with redis-cli; everything else begins with HOUSE. Every key has a TTL.
 *
 *   <key>                             string  W1|version|server run|fresh until (epoch ms)|tags|JSON
 *   waxwing:cache:state               hash    seq (evictions so far), gen (resets so far), bytes (of all entries)
 *   waxwing:cache:index               zset    key → when Redis drops it, epoch ms
 *   waxwing:cache:sizes               hash    key → bytes that were counted for it
 *   waxwing:cache:lock:<key>          string  token of the process that computes the value
 *   waxwing:cache:tag:<tag>           set     keys that carry the tag
 *   waxwing:cache:taggen:<tag>        string  seq of the tag's last eviction
 *   waxwing:cache:paced:<tag>         string  there while the tag, which changes often, is not evicted again
 *   waxwing:cache:due                 zset    tag → when it is evicted next, epoch ms
 *   channel waxwing:cache:evicted:<db>        seq|["origin","k","key",…] · "t" with tags · "a" for everything
 */
export const HOUSE = 'waxwing:cache:';
export const STATE = `${HOUSE}state`;
export const INDEX = `${HOUSE}index`;
export const SIZES = `${HOUSE}sizes`;
export const DUE = `${HOUSE}due`;
/** Channels are the whole server's, not a database's: the number keeps two installations apart. */
export const channelOf = (db: number): string => `${HOUSE}evicted:${db}`;

const KEY_CHARACTERS_MAX = 512;

/**
 * The key as it is stored: a very long one becomes its hash, so that odd input cannot fill Redis with keys.
 * @throws RangeError for an empty key or one under our own prefix
 */
export function storedKey(key: string): string {
  if (typeof key !== 'string' || key === '') throw new RangeError('A cache key is a text that is not empty.');
  if (key.startsWith(HOUSE)) throw new RangeError(`Cache keys must not begin with ${HOUSE}: choose another prefix.`);
  if (key.length <= KEY_CHARACTERS_MAX) return key;
  return `sha256:${createHash('sha256').update(key).digest('base64url')}`;
}

/** Parts of a key, kept apart also when one of them has a colon in it. */
export function keyOf(...parts: readonly string[]): string {
  return parts.map((part) => part.replace(/[%:|\s]/g, (character) => encodeURIComponent(character))).join(':');
}
