import type { Database } from '../../../src/record/database.ts';

/** Takes the one connection of the pool until the function that it resolves with is called. */
export async function holdConnection(database: Database): Promise<() => Promise<void>> {
  let free: () => void = () => undefined;
  let taken: () => void = () => undefined;
  const isFree = new Promise<void>((resolve) => (free = resolve));
  const isTaken = new Promise<void>((resolve) => (taken = resolve));
  const work = database.transaction(async (run) => {
    await run('select 1');
    taken();
    await isFree;
  });
  await Promise.race([isTaken, work]);
  return async () => {
    free();
    await work;
  };
}
