import { defineConfig } from 'vitest/config';

/** Whole programs, and pages in the machine's own Chromium: `npm run test:long`. A machine with only Node passes `npm test`. */
export default defineConfig({
  test: {
    include: ['test/**/*.long.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/each-file.ts'],
    maxWorkers: 2,
    // Deadlines for what hangs: a busy machine must not meet them.
    testTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
