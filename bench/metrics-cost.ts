/*
 * What the figures cost: throughput of one worker process with and without them, in interleaved turns, traces off:
 * `npm run bench:metrics`. Messages of each turn: the first argument; pairs of turns: the second.
 */
import { hookUs } from './many/hooks.ts';
import { median, writeReport } from './many/report.ts';
import { Stage } from './many/stage.ts';

const MESSAGES = Number(process.argv[2] ?? 6000);
const PAIRS = Number(process.argv[3] ?? 9);
const CEILING = 0.05;

const stage = await Stage.open(1);
const on: number[] = [];
const off: number[] = [];
const cpu = { on: [] as number[], off: [] as number[] };
try {
  // The first turn of all warms caches of files and servers.
  await stage.run({ workers: 1, messages: MESSAGES, isMeasured: true });
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
const cost = 1 - median(on) / median(off);
const costOfPairs = median(on.map((one, at) => 1 - one / (off[at] ?? NaN)));
/** The part of a message's processor time that telling the figures takes. */
const ofHooksUs = hookUs();
const shareOfHooks = ofHooksUs / 1000 / median(cpu.off);
const cpuCost = median(cpu.on) / median(cpu.off) - 1;
console.log(
  `with figures ${median(on).toFixed(0)}/s, without ${median(off).toFixed(0)}/s: ${(cost * 100).toFixed(1)} % of throughput`,
);
console.log(
  `within pairs ${(costOfPairs * 100).toFixed(1)} %; CPU of the worker per message ${(cpuCost * 100).toFixed(1)} %; aim: at most ${CEILING * 100} %`,
);
console.log(`telling alone: ${ofHooksUs.toFixed(2)} µs per message, ${(shareOfHooks * 100).toFixed(2)} % of its CPU`);
writeReport('metrics', {
  hookUs: ofHooksUs,
  shareOfHooks,
  command: 'npm run bench:metrics',
  messages: MESSAGES,
  pairs: PAIRS,
  perSecond: { on: median(on), off: median(off) },
  cost,
  costOfPairs,
  workerCpuMs: { on: median(cpu.on), off: median(cpu.off) },
  cpuCost,
  rounds: { on, off },
});
process.exitCode = cost <= CEILING ? 0 : 1;
