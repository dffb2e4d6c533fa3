// The engine's tests on a Redis Cluster (three masters, three replicas, 16 shards) and behind sentinels, then the faults
// of a cluster. Arguments go to the test runner.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const rest = process.argv.slice(2);

/** Left out: `memory` fills one small server; `early-evidence`, `claim-sweep`, `idempotency-days` and `registering` speak to the server that they start. */
const ENGINE = [
  'accept ambiguous circuit disturbances event-log limits many-redis order replica retries revive',
  'scripts token-bucket wake-up',
]
  .flatMap((line) => line.split(' '))
  .map((name) => `test/engine/${name}.test.ts`);

const RUNS = [
  { name: 'engine on a cluster', queue: 'cluster', args: ENGINE },
  { name: 'engine behind sentinels', queue: 'sentinel', args: ENGINE },
  { name: 'faults', queue: '', args: ['--config', 'vitest.faults.config.ts', 'test/faults/cluster.test.ts'] },
];

let failed = 0;
for (const { name, queue, args } of RUNS) {
  console.log(`\n${name}`);
  const { status } = spawnSync(
    process.execPath,
    // One file at a time: each has a cluster of six servers of its own.
    [vitest, 'run', ...args, '--no-file-parallelism', '--testTimeout=60000', ...rest],
    { cwd: root, stdio: 'inherit', env: { ...process.env, WAXWING_TEST_QUEUE: queue } },
  );
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
