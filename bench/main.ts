import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { renderChart } from './chart.ts';
import type { BenchContext, Figure, SectionResult, Table } from './figures.ts';
import { startBenchRedis } from './redis.ts';
import { renderFigures, renderTable } from './report.ts';
import { latency } from './sections/latency.ts';
import { memory } from './sections/memory.ts';
import { quiet } from './sections/quiet.ts';
import { scale } from './sections/scale.ts';
import { throughput } from './sections/throughput.ts';

/*
 * npm run bench -- [--quick] [--rounds N] [--only a,b] [--json] [--out FOLDER]
 * Everything on private Redis servers on loopback; contestants take turns in one run, medians are compared.
 */

const SECTIONS: Readonly<Record<string, (context: BenchContext) => Promise<SectionResult>>> = {
  throughput,
  memory,
  scale,
  latency,
  quiet,
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const names = values.only?.split(',') ?? Object.keys(SECTIONS);
const unknown = names.filter((name) => !Object.hasOwn(SECTIONS, name));
if (unknown.length > 0) {
  console.error(`There is no section ${unknown.join(', ')}. There are: ${Object.keys(SECTIONS).join(', ')}.`);
  process.exit(2);
}
const rounds = Number(values.rounds ?? (values.quick ? 1 : 3));
if (!Number.isInteger(rounds) || rounds < 1 || rounds > 20) {
  console.error('--rounds takes a whole number from 1 to 20.');
  process.exit(2);
}

const isTerminal = process.stderr.isTTY && !values.json;
const bar = new SingleBar({
  format: '{bar} {value}/{total} sections · {what}',
  stream: process.stderr,
  hideCursor: true,
});
if (isTerminal) bar.start(names.length, 0, { what: 'starting' });

const figures: Figure[] = [];
const tables: Table[] = [];
const data: Record<string, unknown> = {};
for (const [index, name] of names.entries()) {
  const step = (what: string) => {
    if (isTerminal) bar.update(index, { what });
  };
  const result = await SECTIONS[name]?.({ quick: values.quick, rounds, step });
  if (result === undefined) continue;
  figures.push(...result.figures);
  tables.push(...result.tables);
  data[name] = result.data;
}
if (isTerminal) bar.stop();

const redis = await startBenchRedis('off');
const machine = `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}, Redis ${redis.version}, everything on one machine`;
await redis.stop();
const at = new Date().toISOString();
const result = { at, machine, quick: values.quick, rounds, figures, tables, data };

const folder = values.out ?? fileURLToPath(new URL('results/', import.meta.url));
// A quick or partial run says less than the one that is kept.
if (values.out !== undefined || (!values.quick && values.only === undefined)) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/latest.json`, `${JSON.stringify(result, null, 1)}\n`);
  writeFileSync(`${folder}/latest.svg`, renderChart(tables, machine));
}
if (values.json) console.log(JSON.stringify(result));
else console.log(['', ...tables.map(renderTable), renderFigures(figures), machine].join('\n'));
process.exit(0);
