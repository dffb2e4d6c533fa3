import { closeSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';

/** A log grows by a few lines per start; past this it is put aside once, and the one before it is dropped. */
const LOG_BYTES_MAX = 5_000_000;
const TAIL_BYTES = 8_192;

/** Puts a grown log aside as `<path>.old`. Call before the server starts. */
export function keepLogShort(path: string): void {
  try {
    if (statSync(path).size > LOG_BYTES_MAX) renameSync(path, `${path}.old`);
  } catch {
    // No log yet.
  }
}

/** The last three lines of a log that match, or the last three at all, as one line of text; empty without a log. */
export function lastLines(path: string, matching: RegExp): string {
  const lines = tailOf(path);
  const telling = lines.filter((line) => matching.test(line));
  return (telling.length > 0 ? telling : lines).slice(-3).join(' | ');
}

/**
 * What the last two lines of a log that match say, as one line of text; empty when none does.
 * @param said the line's own words are its first group
 */
export function lastWords(path: string, said: RegExp): string {
  const words = tailOf(path).flatMap((line) => said.exec(line)?.[1] ?? []);
  return words.slice(-2).join(' ');
}

/** The lines of the last 8 KiB; none without a log. */
function tailOf(path: string): string[] {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const size = fstatSync(file).size;
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(file, bytes, 0, bytes.length, size - bytes.length);
    return bytes
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '');
  } catch {
    return [];
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
