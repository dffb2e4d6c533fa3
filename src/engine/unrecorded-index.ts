/*
 * Until it is recorded, a message is found by `u:<window>`: event entry → the last 12 characters of each id in it, with
 * `|` between them. The ids of a window were made in the same 256 ms, and are told apart by their ends.
 */

/** The part of a UUIDv7 that its window shares; as `window_of` in `lua/accept.lua`. */
function windowOf(id: string): string {
  return id.slice(0, 8) + id.slice(9, 11);
}

const endOf = (id: string): string => id.slice(-12);

export function unrecordedKey(prefix: string, id: string): string {
  return `${prefix}u:${windowOf(id)}`;
}

/** Window → `end|end|…` of the ids in it, flat. */
export function windowsOf(ids: readonly string[]): string[] {
  const ends = new Map<string, string>();
  for (const id of ids) {
    const window = windowOf(id);
    const before = ends.get(window);
    ends.set(window, before === undefined ? endOf(id) : `${before}|${endOf(id)}`);
  }
  return [...ends].flat();
}

/** The event entries that may hold this message; nearly always one or none. */
export function entriesOf(index: Readonly<Record<string, string>>, id: string): string[] {
  const end = endOf(id);
  return Object.entries(index).flatMap(([entryId, ends]) => (ends.includes(end) ? [entryId] : []));
}
