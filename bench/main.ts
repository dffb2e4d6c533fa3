import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SingleBar } from 'cli-progress';
import { findRedis } from '../src/embedded/redis-binary.ts';
import { drawChart } from './chart.ts';
import { type BenchOptions, HELP, readOptions, UsageError } from './options.ts';
import { formatFigures, formatTable } from './report.ts';
import type { BenchContext, Section, SectionResult } from './section.ts';
import { http } from './sections/http.ts';
import { latency } from './sections/latency.ts';
import { memory } from './sections/memory.ts';
import { quiet } from './sections/quiet.ts';
import { scale } from './sections/scale.ts';
import { throughput } from './sections/throughput.ts';
import { timers } from './sections/timers.ts';

const RESULTS = join(dirname(fileURLToPath(import.meta.url)), 'results');
const SECTIONS: readonly Section[] = [throughput, memory, scale, latency, http, timers, quiet];

/** The bar is for a person who waits: without a terminal, or with --json, nothing is drawn. */
function progress(total: number, isShown: boolean): { step: (what: string) => void; stop: () => void } {
  if (!isShown) return { step: () => undefined, stop: () => undefined };
  const bar = new SingleBar({
    format: '{bar} {percentage} % | {duration_formatted} | {what}',
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 30,
  });
  bar.start(total, 0, { what: '' });
  return { step: (what) => bar.increment(1, { what }), stop: () => bar.stop() };
}

async function describeMachine(): Promise<string> {
  const { version } = await findRedis();
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${availableParallelism()} cores (${model}), Node ${process.versions.node}, Redis ${version}, ${process.platform}`;
}

async function runSections(options: BenchOptions): Promise<Map<string, SectionResult>> {
  const chosen = SECTIONS.filter(({ name }) => options.sections.includes(name));
  const plan = { isQuick: options.isQuick, rounds: options.rounds, messages: options.messages };
  const total = chosen.reduce((sum, section) => sum + section.steps({ ...plan, step: () => undefined }), 0);
  const bar = progress(total, process.stderr.isTTY && !options.isJson);
  const context: BenchContext = { ...plan, step: bar.step };
  const results = new Map<string, SectionResult>();
  try {
    for (const section of chosen) results.set(section.name, await section.run(context));
  } finally {
    bar.stop();
  }
  return results;
}

function write(folder: string, report: Report, svg: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'latest.json'), `${JSON.stringify(report, roundNumbers, 1)}\n`);
  writeFileSync(join(folder, 'latest.svg'), svg);
}

/** Four significant places: the file is committed, and the rest is noise. */
function roundNumbers(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}

interface Report {
  readonly at: string;
  readonly machine: string;
  readonly tookS: number;
  readonly loadBefore: number;
  readonly options: { readonly isQuick: boolean; readonly rounds: number; readonly messages: number };
  readonly figures: SectionResult['figures'];
  readonly sections: Readonly<Record<string, unknown>>;
}

async function main(): Promise<number> {
  let options: BenchOptions | null;
  try {
    options = readOptions(process.argv.slice(2), RESULTS);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${error.message}\n\n${HELP}`);
    return 2;
  }
  if (options === null) {
    console.log(HELP);
    return 0;
  }
  const machine = await describeMachine();
  const [loadBefore = 0] = loadavg();
  if (!options.isJson) {
    console.log(`${machine}; load before the run ${loadBefore.toFixed(2)}\n`);
    if (loadBefore > availableParallelism() / 2)
      console.log('Something else is running on this machine: the ratios suffer least, the times most.\n');
  }
  const startedAt = performance.now();
  const results = await runSections(options);
  const all = [...results.values()];
  const report: Report = {
    at: new Date().toISOString(),
    machine,
    tookS: Math.round((performance.now() - startedAt) / 1000),
    loadBefore,
    options: { isQuick: options.isQuick, rounds: options.rounds, messages: options.messages },
    figures: all.flatMap(({ figures }) => figures),
    sections: Object.fromEntries([...results].map(([name, { data }]) => [name, data])),
  };
  const svg = drawChart(
    'Waxwing beside other queues',
    `${machine} · ${report.at.slice(0, 10)} · longer is more; each group has its own scale`,
    all.flatMap(({ charts }) => charts),
  );
  if (options.folder !== undefined) write(options.folder, report, svg);
  if (options.isJson) {
    console.log(JSON.stringify(report, roundNumbers, 1));
    return 0;
  }
  for (const table of all.flatMap(({ tables }) => tables)) console.log(`${formatTable(table)}\n`);
  console.log(formatFigures(report.figures));
  console.log(`\n${report.tookS} s${options.folder === undefined ? '' : `; written to ${options.folder}`}`);
  return 0;
}

process.exitCode = await main();
