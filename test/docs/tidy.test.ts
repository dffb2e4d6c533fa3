import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { KEY_LETTERS } from '../../src/engine/keys.ts';

/* House rules that no linter knows. The direction of imports is dependency-cruiser's (`npm run check -- structure`). */

const root = fileURLToPath(new URL('../../', import.meta.url));
const ROOMS = ['src', 'test', 'bench', 'scripts', 'web'];
const TEXTS = /\.(?:ts|mjs|js|lua|sql|css|html|md|sh)$/;
/** Past this a file surely holds more than one idea; 300 is where to ask. */
const LINES_MAX = 600;

function filesOf(rooms: readonly string[]): string[] {
  return rooms
    .flatMap((room) =>
      readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((file) => join(room, file)),
    )
    .filter((file) => TEXTS.test(file) && !file.includes('node_modules') && !file.startsWith('bench/results'));
}

const read = (file: string) => readFileSync(join(root, file), 'utf8');
const here = 'test/docs/tidy.test.ts';

test('nothing is left to be fixed, and every TODO names its issue', () => {
  const left = filesOf(ROOMS)
    .filter((file) => file !== here)
    .flatMap((file) =>
      read(file)
        .split('\n')
        .flatMap((line, index) =>
          /\b(?:FIXME|XXX)\b|\bTODO\b(?!\(#\d+\))/.test(line) ? [`${file}:${index + 1}`] : [],
        ),
    );
  expect(left).toEqual([]);
});

test('no page promises what an issue was to bring', () => {
  // A decision tells of its day.
  const pages = filesOf(['docs']).filter((file) => file.endsWith('.md') && !file.startsWith('docs/decisions'));
  expect(pages.filter((file) => /\bissue \d/i.test(read(file)))).toEqual([]);
});

test(`no file of src has more than ${LINES_MAX} lines`, () => {
  const long = filesOf(['src'])
    .filter((file) => !file.includes('/generated/') && file !== 'src/record/schema.sql')
    .map((file) => ({ file, lines: read(file).split('\n').length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  expect(long).toEqual([]);
});

test('no test is skipped or alone', () => {
  const marked = filesOf(['test'])
    .filter((file) => file.endsWith('.test.ts') && file !== here)
    .filter((file) => /\b(?:it|test|describe)\.(?:only|skip|todo)\(/.test(read(file)));
  expect(marked).toEqual([]);
});

test('no compiled file lies beside the sources', () => {
  const compiled = filesOf(['src', 'test', 'bench']).filter(
    (file) => file.endsWith('.js') && filesOf(['src', 'test', 'bench']).includes(file.replace(/\.js$/, '.ts')),
  );
  expect(compiled).toEqual([]);
});

test('decisions are numbered without a gap and have their four parts', () => {
  const decisions = readdirSync(join(root, 'docs/decisions')).sort();
  expect(decisions.map((file) => file.slice(0, 4))).toEqual(
    decisions.map((_, index) => String(index + 1).padStart(4, '0')),
  );
  for (const file of decisions) {
    const headings = [...read(`docs/decisions/${file}`).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings, file).toEqual(['Context', 'Decision', 'Consequences', 'Rejected']);
  }
});

/** What every guide must hold, by the words that its headings use. */
const GUIDE_PARTS = [
  /^Load testing$/,
  /^Good practice$/,
  /^Moving over/,
  /^(?:Troubleshooting|By symptom|When something)/,
];

test.each(['sending', 'templates', 'caching', 'jobs', 'streams', 'throttling', 'failures', 'inbound'])(
  'D1 · the guide on %s has load testing, good practice, moving over and what to do by symptom, each with words',
  (guide) => {
    const parts = read(`docs/${guide}.md`).split(/^## /m).slice(1);
    for (const wanted of GUIDE_PARTS) {
      const part = parts.find((text) => wanted.test(text.split('\n')[0] ?? ''));
      expect(part?.length ?? 0, String(wanted)).toBeGreaterThan(150);
    }
  },
);

test('docs/record.md names every table, and docs/architecture.md every kind of key of the queue', () => {
  const tables = [...read('src/record/schema.sql').matchAll(/^create table (\w+)/gm)].map(([, name = '']) => name);
  expect(tables.length).toBeGreaterThan(30);
  const record = read('docs/record.md');
  expect(tables.filter((name) => !record.includes(`\`${name}\``))).toEqual([]);
  const architecture = read('docs/architecture.md');
  // As a word of its own or before its colon: `le`, `lz`; `c:<lane>`.
  const isNamed = (letters: string) => new RegExp(`\`${letters}[:\`]`).test(architecture);
  expect(Object.keys(KEY_LETTERS).filter((letters) => !isNamed(letters))).toEqual([]);
});
