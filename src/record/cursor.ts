import { AppError } from '../errors/app-error.ts';
import type { Page } from './types.ts';

/** Longest page of any list. */
export const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;

/** Where a page ended: the last row's time and its key's remaining columns. */
export interface Cursor {
  readonly atMs: number;
  readonly keys: readonly string[];
}

/**
 * Opens a cursor that `page()` made.
 * @param keyCount how many columns follow the time in this list's order
 * @throws AppError `REQUEST_INVALID` with field `cursor` for anything else, and for a cursor of another list
 */
export function openCursor(text: string | undefined, keyCount: number): Cursor | null {
  if (text === undefined) return null;
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (Array.isArray(parts) && parts.length === keyCount + 1) {
      const [atMs, ...keys] = parts as unknown[];
      const isWhole = typeof atMs === 'number' && Number.isSafeInteger(atMs) && Math.abs(atMs) <= 8.64e15;
      if (isWhole && keys.every((key) => typeof key === 'string' && !key.includes('\0'))) {
        return { atMs, keys: keys as string[] };
      }
    }
  } catch {
    // Falls through to the refusal: what is wrong with it does not matter to the caller.
  }
  throw new AppError('REQUEST_INVALID', {
    field: 'cursor',
    detail: 'Use the value of `next` from the page before, unchanged, or leave the cursor out to start anew.',
  });
}

/** Page length that holds: 1 … 200, default 50. */
export function pageLimit(limit: number | undefined): number {
  return Math.min(PAGE_MAX, Math.max(1, Math.trunc(limit ?? PAGE_DEFAULT)));
}

/** Makes a page of `limit` items from up to `limit + 1` rows: the one too many tells that there is a next page. */
export function page<T>(rows: readonly T[], limit: number, cursorOf: (last: T) => Cursor): Page<T> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  if (rows.length <= limit || last === undefined) return { items, next: null };
  const { atMs, keys } = cursorOf(last);
  return { items, next: Buffer.from(JSON.stringify([atMs, ...keys])).toString('base64url') };
}
