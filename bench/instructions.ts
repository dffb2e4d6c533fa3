/*
 * What one message costs Redis, counted in machine instructions by valgrind's callgrind: unlike times, they hardly
 * differ from run to run and from machine to machine, so a change of a script shows. `npm run bench:instructions`;
 * valgrind must be installed. Messages: the first argument.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findRedis, type RedisBinary } from '../src/embedded/redis-binary.ts';
import { BullmqContestant } from './contestants/bullmq.ts';
import type { AcceptMode, Contestant } from './contestants/contestant.ts';
import { EngineContestant } from './contestants/engine.ts';
import { RawContestant } from './contestants/raw.ts';
import { loadMessage } from './load.ts';
import { writeReport } from './many/report.ts';
import { type BenchRedis, startBenchRedis } from './redis.ts';

const MESSAGES = Number(process.argv[2] ?? 2000);
/** Loads the scripts and fills the caches; not counted. */
const WARM_UP = 500;
const PLACES = 50;
const SHAPE = { conversations: 500, tenants: 50 };

const ENTRANTS: readonly [name: string, make: (name: string) => Contestant, mode: AcceptMode][] = [
  ['Waxwing', (name) => new EngineContestant({ name }), 'single'],
  ['Waxwing, a key on each', (name) => new EngineContestant({ name }), 'keyed'],
  ['BullMQ add', (name) => new BullmqContestant(name), 'single'],
  ['raw stream', () => new RawContestant(), 'single'],
];

interface Cost {
  readonly accept: number;
  readonly drain: number;
}

const folder = mkdtempSync(join(tmpdir(), 'waxwing-callgrind-'));

/** A program that runs Redis under callgrind, which leaves its counts in the folder. */
async function countedRedis(): Promise<RedisBinary> {
  const found = await findRedis();
  const path = join(folder, 'redis-server');
  writeFileSync(
    path,
    `#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file=${folder}/out.%p ${found.path} "$@"\n`,
  );
  chmodSync(path, 0o755);
  return { ...found, path };
}

/** Instructions since the server began. Callgrind writes a part of its counts each time that it is asked. */
async function instructions({ admin }: BenchRedis): Promise<number> {
  const pid = /process_id:(\d+)/.exec(await admin.info('server'))?.[1] ?? '';
  execFileSync('callgrind_control', ['--dump', pid], { stdio: 'ignore' });
  await admin.ping(); // it goes on when the part is written
  return readdirSync(folder)
    .filter((name) => name.startsWith(`out.${pid}.`))
    .map((name) => Number(/^(?:totals|summary): (\d+)/m.exec(readFileSync(join(folder, name), 'latin1'))?.[1] ?? 0))
    .reduce((sum, part) => sum + part, 0);
}

async function measure(redis: BenchRedis, contestant: Contestant, mode: AcceptMode): Promise<Cost> {
  await redis.clear();
  await contestant.open(redis.url);
  const accept = (from: number, count: number) =>
    contestant.accept({ from, count, places: PLACES, mode, message: (index) => loadMessage(index, SHAPE) });
  const drain = (count: number) => contestant.drain({ count, places: PLACES, handle: () => Promise.resolve() });
  try {
    await accept(0, WARM_UP);
    await drain(WARM_UP);
    const atFirst = await instructions(redis);
    await accept(WARM_UP, MESSAGES);
    const between = await instructions(redis);
    await drain(MESSAGES);
    const atLast = await instructions(redis);
    return { accept: (between - atFirst) / MESSAGES, drain: (atLast - between) / MESSAGES };
  } finally {
    await contestant.close();
  }
}

const redis = await startBenchRedis('always', await countedRedis());
const perMessage: Record<string, Cost> = {};
try {
  for (const [name, make, mode] of ENTRANTS) {
    const cost = await measure(redis, make(name), mode);
    perMessage[name] = cost;
    const thousands = (value: number) => `${(value / 1000).toFixed(1).padStart(7)} k`;
    console.log(`${name.padEnd(24)} accept ${thousands(cost.accept)}   drain ${thousands(cost.drain)}`);
  }
} finally {
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
}
writeReport('instructions', { command: 'npm run bench:instructions', messages: MESSAGES, perMessage });
