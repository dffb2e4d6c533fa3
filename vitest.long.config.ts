import { defineConfig } from 'vitest/config';

/** Whole programs, and pages in a browser that are watched for half a minute: `npm run test:long`. */
export default defineConfig({
  test: {
    include: ['test/**/*.long.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    maxWorkers: 2,
    testTimeout: 20_000,
    // The default of one second is no deadline on a busy machine.
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 60_000,
    teardownTimeout: 60_000,
  },
});
