/*
 * What the figures cost: throughput of one worker process with and without them, in interleaved turns, traces off:
 * `npm run bench:metrics`. Messages of each turn: the first argument; pairs of turns: the second. With 0 pairs only what
 * does not hang on a quiet machine: the processor time of telling a message, and of an idle worker with and without.
 */
import { hookUs } from './many/hooks.ts';
import { median, writeReport } from './many/report.ts';
import { Stage } from './many/stage.ts';

const MESSAGES = Number(process.argv[2] ?? 6000);
const PAIRS = Number(process.argv[3] ?? 9);
const CEILING = 0.05;
const IDLE_SECONDS = 15;

const stage = await Stage.open(1);
const on: number[] = [];
const off: number[] = [];
const idle = { on: 0, off: 0 };
const cpu = { on: [] as number[], off: [] as number[] };
try {
  idle.off = await stage.idleShare(false, IDLE_SECONDS);
  idle.on = await stage.idleShare(true, IDLE_SECONDS);
  // The first turn of all warms caches of files and servers.
  if (PAIRS > 0) await stage.run({ workers: 1, messages: MESSAGES, isMeasured: true });
  for (let pair = 0; pair < PAIRS; pair += 1) {
    // Which goes first alternates.
    for (const isMeasured of pair % 2 === 0 ? [true, false] : [false, true]) {
      const { perSecond, workerCpuMs } = await stage.run({ workers: 1, messages: MESSAGES, isMeasured });
      (isMeasured ? on : off).push(perSecond);
      cpu[isMeasured ? 'on' : 'off'].push(workerCpuMs);
    }
  }
} finally {
  await stage.close();
}
/** Two costs that do not hang on what else the machine does: of each message, and of each second. */
const perMessageUs = hookUs();
const perSecondShare = idle.on - idle.off;
console.log(
  `telling costs ${perMessageUs.toFixed(2)} µs of CPU per message; collecting and alerts ${(perSecondShare * 100).toFixed(2)} % of a core`,
);
const report = { command: 'npm run bench:metrics', perMessageUs, perSecondShare, idleShare: idle };
if (PAIRS === 0) {
  writeReport('metrics', report);
} else {
  const cost = 1 - median(on) / median(off);
  const costOfPairs = median(on.map((one, at) => 1 - one / (off[at] ?? NaN)));
  const workerCpuMs = { on: median(cpu.on), off: median(cpu.off) };
  console.log(
    `with figures ${median(on).toFixed(0)}/s, without ${median(off).toFixed(0)}/s: ${(cost * 100).toFixed(1)} % of throughput, ` +
      `within pairs ${(costOfPairs * 100).toFixed(1)} %; aim: at most ${CEILING * 100} %`,
  );
  const perSecond = { on: median(on), off: median(off) };
  const turns = { messages: MESSAGES, pairs: PAIRS, perSecond, cost, costOfPairs, workerCpuMs, rounds: { on, off } };
  writeReport('metrics', { ...report, ...turns });
  process.exitCode = cost <= CEILING ? 0 : 1;
}
