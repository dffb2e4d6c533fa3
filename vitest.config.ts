import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The long ones have commands of their own: `npm run test:long`, `test:faults`, `test:queue:load`.
    exclude: ['test/faults/**', 'test/load/**', 'test/**/*.long.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    setupFiles: ['test/support/each-file.ts'],
    // Files of a worker share their modules: loading them anew for each was a third of the run (test/support/file-end.ts).
    isolate: false,
    // Two cores: more workers only fight for them, and the timing tests suffer.
    maxWorkers: 2,
    // Deadlines for what hangs: a busy machine must not meet them.
    testTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
