import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/* docs/sizing.md says where each number comes from; here both are compared, and the worked example is calculated again. */

const root = new URL('../../', import.meta.url);
const page = readFileSync(new URL('docs/sizing.md', root), 'utf8');
const json = (name: string) => JSON.parse(readFileSync(new URL(`bench/results/${name}`, root), 'utf8')) as unknown;
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
const tableAfter = (heading: string) => {
  const text = page.slice(page.indexOf(heading)).split('\n\n');
  const table = text.find((part) => part.startsWith('|')) ?? '';
  return table.split('\n').slice(2).map(cellsOf);
};
const numberIn = (cell: string) => Number(/[\d.,]+/.exec(cell)?.[0].replaceAll(',', ''));

interface Footprint {
  readonly webCpuMs: number;
  readonly workerCpuMs: number;
  readonly aofBytes: { readonly accept: number; readonly whole: number };
  readonly postgresBytes: number;
}
interface Latest {
  readonly sections: {
    readonly memory: readonly {
      label: string;
      spread: string;
      queue: number;
      unrecorded: number;
      idempotency: number;
    }[];
  };
}

const footprint = json('footprint.json') as Footprint;
const { memory } = (json('latest.json') as Latest).sections;
const own = memory.filter(({ label }) => label === 'Waxwing');
const one = own.find(({ spread }) => spread.startsWith('one per conversation'));
const kept = own.find(({ spread }) => spread.endsWith('keys of one shard and day'));
const FIGURES: Readonly<Record<string, number>> = {
  'footprint.json · webCpuMs': footprint.webCpuMs,
  'footprint.json · workerCpuMs': footprint.workerCpuMs,
  'footprint.json · aofBytes.whole': footprint.aofBytes.whole,
  'footprint.json · postgresBytes': footprint.postgresBytes,
  'latest.json · memory, one per conversation, queue': one?.queue ?? NaN,
  'latest.json · memory, one per conversation, unrecorded': one?.unrecorded ?? NaN,
  'latest.json · memory, idempotency': kept?.idempotency ?? NaN,
};

describe('D1 · sizing', () => {
  test('every measured number is the one in its result file', () => {
    const rows = tableAfter('## What was measured');
    expect(rows.map(([, , source]) => source)).toEqual(Object.keys(FIGURES).map((name) => `\`${name}\``));
    for (const [what = '', shown = '', source = ''] of rows) {
      const measured = FIGURES[source.replaceAll('`', '')] ?? NaN;
      // Shown with two or three places; more would not come out again.
      expect(Math.abs(numberIn(shown) / measured - 1), `${what}: ${shown}, measured ${measured}`).toBeLessThan(0.05);
    }
  });

  test('the worked example follows from them', () => {
    const shown = tableAfter('## Three sizes');
    const sizes = [
      { perDay: 50_000, peak: 5 },
      { perDay: 1_000_000, peak: 80 },
      { perDay: 10_000_000, peak: 500 },
    ];
    const [web, worker, aof, rows, queue, event, key] = tableAfter('## What was measured').map(([, cell = '']) =>
      numberIn(cell),
    ) as [number, number, number, number, number, number, number];
    const GB = 1e9;
    const expected: Readonly<Record<string, (size: { perDay: number; peak: number }) => number>> = {
      'web processes': ({ peak }) => Math.max(2, Math.ceil((peak * web) / 1000 / 0.5)),
      'worker processes': ({ peak }) =>
        Math.max(2, Math.ceil((peak * worker) / 1000 / 0.5), Math.ceil((peak * 1 * 1.5) / 200)),
      'Redis memory, GB': ({ perDay, peak }) => ((peak * 3600 * (queue + 2 * event) + 2 * perDay * key) * 2) / GB,
      'written to the append-only file per day, GB': ({ perDay }) => (perDay * aof) / GB,
      'PostgreSQL per 30 days, GB': ({ perDay }) => (perDay * 30 * rows) / GB,
    };
    expect(shown.map(([what]) => what).filter((what) => what !== undefined && Object.hasOwn(expected, what))).toEqual(
      Object.keys(expected),
    );
    for (const [what = '', ...cells] of shown) {
      const formula = expected[what];
      if (formula === undefined) continue;
      for (const [at, size] of sizes.entries()) {
        const value = formula(size);
        expect(
          Math.abs(numberIn(cells[at] ?? '') / value - 1),
          `${what} of ${size.perDay} a day: ${value}`,
        ).toBeLessThan(0.05);
      }
    }
  });
});
