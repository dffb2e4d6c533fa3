/**
 * Puts the latest figures of `npm run bench` into README.md, between the markers `<!-- bench -->` and `<!-- /bench -->`.
 * With --check it writes nothing and exits 1 when README says something else.
 *
 * Reads bench/results/latest.json: `{at, machine, figures: [{what, floor, aim, reached, isMet}]}`; `at` is an ISO time,
 * `machine` one sentence, the others texts or numbers as they are to be shown. Without the file README says so.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const readme = join(root, 'README.md');
const results = join(root, 'bench/results/latest.json');
const START = '<!-- bench -->';
const END = '<!-- /bench -->';

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

const cell = (value) => (value === undefined || value === null ? '–' : String(value).replaceAll('|', '\\|'));

function section() {
  if (!existsSync(results)) {
    return 'No run is kept in the repository yet. `npm run bench` measures the engine beside BullMQ, GroupMQ and raw streams on one Redis and prints the table; `node scripts/readme-bench.mjs` then puts it here.';
  }
  const { at, machine, figures } = JSON.parse(readFileSync(results, 'utf8'));
  const isRow = (row) => typeof row?.what === 'string' && 'reached' in row;
  if (typeof at !== 'string' || typeof machine !== 'string' || !Array.isArray(figures) || !figures.every(isRow)) {
    fail('bench/results/latest.json must be {at, machine, figures: [{what, floor, aim, reached}]}.');
  }
  const chart = existsSync(join(root, 'bench/results/latest.svg'))
    ? ['', '![The same as a chart](bench/results/latest.svg)']
    : [];
  return [
    `${machine}; \`npm run bench\` of ${at.slice(0, 10)}. Ratios of one run on one Redis; what did not reach its floor is in bold.`,
    '',
    '| what | floor | aim | reached |',
    '| --- | --- | --- | --- |',
    ...figures.map(({ what, floor, aim, reached, isMet }) => {
      const shown = isMet === false ? `**${cell(reached)}**` : cell(reached);
      return `| ${[...[what, floor, aim].map(cell), shown].join(' | ')} |`;
    }),
    ...chart,
  ].join('\n');
}

const found = readFileSync(readme, 'utf8');
const from = found.indexOf(START);
const to = found.indexOf(END);
if (from === -1 || to < from) fail(`README.md has no ${START} … ${END}.`);
const filled = `${found.slice(0, from + START.length)}\n\n${section()}\n\n${found.slice(to)}`;
const wanted = await format(filled, { ...(await resolveConfig(readme)), filepath: readme });
if (!process.argv.includes('--check')) writeFileSync(readme, wanted);
else if (found !== wanted)
  fail('README.md does not show bench/results/latest.json. Run: node scripts/readme-bench.mjs');
