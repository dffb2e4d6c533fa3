import { defineConfig } from 'vitest/config';

const files = (...names: string[]): string[] => names.map((name) => `test/faults/${name}.test.ts`);

/** They judge what came of it and measure no time, so two go at once; most of theirs is waiting. */
const BESIDE_ANOTHER = files(
  ...['ambiguous', 'backup', 'damage', 'events', 'failures', 'poison', 'postgres', 'power', 'program', 'upgrade'],
);
/** They compare times in rounds, or take minutes: `bench:isolation`, `bench:brownout`, `test:rolling`. */
const BY_THEIR_OWN_COMMAND = files('brownout', 'isolation', 'rolling');

const common = {
  setupFiles: ['test/support/each-file.ts'],
  testTimeout: 600_000,
  hookTimeout: 120_000,
  teardownTimeout: 60_000,
};

export default defineConfig({
  test: {
    // The second prints one table of all faults; WAXWING_FAULT_RESULT=faults also writes bench/results/faults.{json,md}.
    reporters: ['default', './test/faults/harness/table-reporter.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        test: {
          ...common,
          name: 'alone',
          include: ['test/faults/**/*.test.ts'],
          exclude: [...BESIDE_ANOTHER, ...BY_THEIR_OWN_COMMAND],
          // What a fault costs is measured in milliseconds, and other work would be measured too.
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'beside another',
          include: BESIDE_ANOTHER,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          ...common,
          name: 'by their own command',
          include: BY_THEIR_OWN_COMMAND,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
