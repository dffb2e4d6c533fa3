import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { slotOf } from '../../src/engine/slots.ts';
import { createQueueAdministration, createQueueService, JOB_QUEUE_IDS } from '../../src/jobs/index.ts';
import { JOBS_PREFIX } from '../../src/jobs/connection.ts';
import { diagnoseServices } from '../../src/observe/doctor-services.ts';
import { testCluster } from '../support/many-redis.ts';

/** Index of the master that has the job queues, when three masters share the slots evenly. */
const HOME = Math.floor((slotOf(`${JOBS_PREFIX}:`) * 3) / 16_384);
const ROUNDS = 6;

test('Q9 · on a cluster whose other master is gone, the job queues open, and the doctor finds nothing wrong with them', async () => {
  const cluster = await testCluster({ masters: 3, replicas: 0, settings: { 'cluster-require-full-coverage': 'no' } });
  const [home, other] = [cluster.nodes[HOME], cluster.nodes[(HOME + 1) % 3]];
  await other?.kill('SIGKILL');
  const client = new Redis(home?.url ?? '');
  try {
    // Whom BullMQ asks when it opens was a matter of chance: a third of these rounds failed for good.
    for (let round = 0; round < ROUNDS; round += 1) {
      const queues = createQueueService({ redis: cluster.target, attempts: 3, backoffMs: 100 });
      try {
        const findings = await diagnoseServices({
          ...{ client, shards: 0 },
          pendingMigrations: () => Promise.resolve([]),
          pendingFailures: () => Promise.resolve(0),
          jobQueues: async () => {
            const look = createQueueAdministration({ queues, send: NO_SENDS, sendQueueName: 'sends' });
            return (await look.health()).queues.filter(({ queue }) => queue !== 'sends');
          },
        });
        expect(findings.filter(({ severity }) => severity === 'finding')).toEqual([]);
        expect(findings.filter(({ about }) => about.startsWith('job queue '))).toHaveLength(JOB_QUEUE_IDS.length);
      } finally {
        await queues.close();
      }
    }
  } finally {
    client.disconnect();
  }
});

const nothing = () => Promise.resolve();
const NONE = { accepted: 0, queued: 0, scheduled: 0, deferred: 0, inFlight: 0, unknown: 0, held: 0 };
const NO_SENDS = {
  counters: () => Promise.resolve({ ...NONE, sent: 0, failed: 0, cancelled: 0, expired: 0 }),
  pauseAll: nothing,
  resumeAll: nothing,
  isPaused: () => Promise.resolve(false),
};
