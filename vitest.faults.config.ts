import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/faults/**/*.test.ts'],
    // The second prints one table of all faults; WAXWING_FAULT_RESULT=faults also writes bench/results/faults.{json,md}.
    reporters: ['default', './test/faults/harness/table-reporter.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/each-file.ts'],
    // One file at a time: what a fault costs is measured in milliseconds, and other work would be measured too.
    maxWorkers: 1,
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
