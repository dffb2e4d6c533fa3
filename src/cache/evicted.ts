/** What was evicted, here or by another process. `all` = everything that is in memory may be old. */
export type Evicted =
  | { readonly kind: 'keys'; readonly names: readonly string[] }
  | { readonly kind: 'tags'; readonly names: readonly string[] }
  | { readonly kind: 'all' };

export function touches(evicted: Evicted, key: string, tags: readonly string[]): boolean {
  if (evicted.kind === 'all') return true;
  return evicted.kind === 'keys' ? evicted.names.includes(key) : tags.some((tag) => evicted.names.includes(tag));
}
