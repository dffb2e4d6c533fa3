/*
 * Test files that run in one worker share their modules (vitest.config.ts): loading them anew for each was a third of
 * the run. So a helper that keeps something for a file says here that it ends with the file; a hook at the top of a
 * helper would run after the first file only.
 */

const ends = new Set<() => unknown>();

/** Runs `end` when the file is through, the newest first; once, however often it is asked for. */
export function atFileEnd(end: () => unknown): void {
  ends.add(end);
}

/** It was ended before. */
export function isEnded(end: () => unknown): void {
  ends.delete(end);
}

/** What is made when it is first asked for, and forgotten with the file. */
export function oncePerFile<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    if (made === undefined) {
      made = { value: make() };
      atFileEnd(() => (made = undefined));
    }
    return made.value;
  };
}

/** Ends all of it, also when one of them fails. Called by `each-file.ts`. */
export async function endFile(): Promise<void> {
  const failures: unknown[] = [];
  for (const end of [...ends].reverse()) {
    ends.delete(end);
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'What the file had started did not end.');
}
