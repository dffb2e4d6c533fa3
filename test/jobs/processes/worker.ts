import { createJobWorkers } from '../../../src/jobs/index.ts';

/** A worker that takes a job and never finishes it: to be killed with it. */
await createJobWorkers({
  redis: { url: process.argv[2] ?? '' },
  processors: {
    webhook: () => {
      process.stdout.write('took\n');
      return new Promise<void>(() => undefined);
    },
  },
  concurrency: { webhook: 1, 'message-status': 1, reminder: 1, email: 1, respond: 1 },
});
