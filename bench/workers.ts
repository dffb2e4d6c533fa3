/*
 * Throughput of 1, 2 and 4 worker processes at a provider that takes 50 to 100 ms, on one Redis and on a cluster of
 * three masters: `npm run bench:workers`. Messages of each turn: the first argument; rounds: the second.
 */
import { median, writeReport } from './many/report.ts';
import { SHARDS, Stage } from './many/stage.ts';

const MESSAGES = Number(process.argv[2] ?? 6000);
const ROUNDS = Number(process.argv[3] ?? 3);

const rows: { masters: number; workers: number; perSecond: number; workerCpuMs: number; rounds: number[] }[] = [];
for (const masters of [1, 3]) {
  const stage = await Stage.open(masters);
  try {
    const turns = new Map([1, 2, 4].map((workers) => [workers, [] as { perSecond: number; workerCpuMs: number }[]]));
    // Interleaved, so that what else the machine does falls on all of them.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [workers, results] of turns) {
        results.push(await stage.run({ workers, messages: MESSAGES, isMeasured: true }));
      }
    }
    for (const [workers, results] of turns) {
      const rounds = results.map(({ perSecond }) => perSecond);
      const row = {
        masters,
        workers,
        perSecond: median(rounds),
        workerCpuMs: median(results.map((one) => one.workerCpuMs)),
      };
      console.log(
        `${masters} master${masters === 1 ? '' : 's'}, ${workers} worker${workers === 1 ? '' : 's'}: ${row.perSecond.toFixed(0)}/s, ${row.workerCpuMs.toFixed(2)} ms of CPU per message`,
      );
      rows.push({ ...row, rounds });
    }
  } finally {
    await stage.close();
  }
}
writeReport('workers', {
  command: 'npm run bench:workers',
  messages: MESSAGES,
  shards: SHARDS,
  latencyMs: [50, 100],
  rows,
});
