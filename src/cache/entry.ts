/** What an entry's value may be: what JSON keeps. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json | undefined };

/** Layout of the text in Redis; another number makes every older entry a miss. */
const FORMAT = 'W1';

/**
 * Beginning of an entry that this process may read: the layout, the version of the value's shape, and the life of the
 * server it was written in. A server that was away may have missed evictions, so what it kept from before is not used.
 */
export function headerOf(version: string, serverRun: string): string {
  return `${FORMAT}|${version}|${serverRun}|`;
}

export interface Decoded {
  readonly value: unknown;
  /** Epoch ms on the server's clock. */
  readonly freshUntilMs: number;
  /** Characters of the text. */
  readonly size: number;
  readonly tags: readonly string[];
}

/** An entry's text as a value; null when it is of another version, cut off, or no JSON. */
export function decodeEntry(text: string, header: string): Decoded | null {
  if (!text.startsWith(header)) return null;
  const end = text.indexOf('|', header.length);
  const tagsEnd = text.indexOf('|', end + 1);
  const freshUntilMs = Number(text.slice(header.length, end));
  if (end < 0 || tagsEnd < 0 || !Number.isFinite(freshUntilMs)) return null;
  const tags = tagsEnd === end + 1 ? [] : text.slice(end + 1, tagsEnd).split(' ');
  try {
    const value: unknown = JSON.parse(text.slice(tagsEnd + 1));
    return { value: freeze(value), freshUntilMs, size: text.length - tagsEnd, tags };
  } catch {
    return null;
  }
}

/** A value that many callers share must not change under them. */
export function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) freeze<unknown>(part);
  return Object.freeze(value);
}
