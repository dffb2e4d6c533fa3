import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/*
 * Measured numbers in the pages are those of the latest result files. After a new run of a bench write the new numbers
 * into the page that is named. README is compared in readme.test.ts, docs/sizing.md in sizing.test.ts.
 */

const root = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const json = (name: string) => JSON.parse(read(`bench/results/${name}.json`)) as unknown;
const thousands = (value: number) => value.toLocaleString('en-US');
const seconds = (ms: number) => (ms / 1000).toFixed(1);

interface FaultRow {
  readonly id: string;
  readonly accepted: number;
  readonly lost: number;
  readonly dup_unambiguous: number;
  readonly reordered: number;
  readonly report: Readonly<Record<string, number | string>>;
}
function row(name: string, id: string): FaultRow {
  const found = (json(name) as { rows: FaultRow[] }).rows.find((one) => one.id === id);
  if (found === undefined) throw new Error(`bench/results/${name}.json has no ${id}`);
  return found;
}
/** `p50/p99/max` → its first and last. */
function spreadOf(value: number | string | undefined): readonly [leastMs: number, mostMs: number] {
  const parts = String(value).split('/').map(Number);
  return [parts[0] ?? NaN, parts.at(-1) ?? NaN];
}

describe('D1 · figures in the pages are those of the result files', () => {
  test('docs/dashboard.md, of npm run bench:dashboard', () => {
    const { opens, behindTheTruth: behind } = json('dashboard') as {
      opens: Record<'cold' | 'again', { medianMs: number; worstMs: number; runs: number }>;
      behindTheTruth: { medianMs: number; worstMs: number };
    };
    const { cold, again } = opens;
    expect(read('docs/dashboard.md')).toContain(
      `after ${cold.medianMs} ms (median of ${cold.runs}; the worst ${cold.worstMs} ms), one that was there after ` +
        `${again.medianMs} ms (worst ${again.worstMs} ms), and a message is counted on the page ${behind.medianMs} ms ` +
        `after its 202 (worst ${behind.worstMs} ms)`,
    );
  });

  test('docs/monitoring.md, of npm run bench:metrics', () => {
    const found = json('metrics') as {
      perMessageUs: number;
      perSecondShare: number;
      perSecond: { on: number; off: number };
    };
    const page = read('docs/monitoring.md');
    expect(page).toContain(`telling one message takes ${Math.round(found.perMessageUs * 10) / 10} µs`);
    expect(page).toContain(`takes ${Math.round(found.perSecondShare * 100)} % of a core`);
    const { on, off } = found.perSecond;
    expect(page).toContain(`${Math.round(on)} messages a second with and ${Math.round(off)} without`);
  });

  test('docs/failures.md, of npm run bench:brownout', () => {
    const { accepted, lost, dup_unambiguous: doubled, report } = row('brownout', 'F31-brownout');
    expect(read('docs/failures.md')).toContain(
      `${Number(report['known in vain %']).toFixed(1)} % of the calls were in vain, ${lost + doubled} of ` +
        `${thousands(accepted)} messages were lost or sent twice`,
    );
  });

  test('docs/deployment.md, of npm run test:rolling', () => {
    const { accepted, lost, dup_unambiguous: doubled, report } = row('rolling', 'F07-rolling');
    const [half, slowest] = spreadOf(report['stop ms p50/p99/max']);
    const page = read('docs/deployment.md');
    expect(page).toContain(
      `${report['restarts']} restarts, ${thousands(Number(report['requests']))} requests, ${thousands(accepted)} ` +
        `messages, ${report['failed requests']} failed, ${lost} lost, ${doubled} sent twice, ${report['ambiguous']} ambiguous`,
    );
    expect(page).toContain(`left within ${seconds(half)} s, the slowest, a web process, within ${seconds(slowest)} s`);
  });

  test.each(['F22', 'F23', 'F24'])('docs/deployment.md, %s of npm run test:faults', (id) => {
    const { lost, report } = row('faults', id);
    const [least, most] = spreadOf(report['gap ms p50/p99/max']);
    const line = read('docs/deployment.md')
      .split('\n')
      .find((one) => one.startsWith(`| ${id} `));
    const cells = line?.split('|').map((cell) => cell.trim());
    expect(cells?.slice(2, 4)).toEqual([`${seconds(least)} to ${seconds(most)} s`, String(lost)]);
  });

  test('docs/sizing.md, of npm run bench:workers and bench:footprint', () => {
    const { rows, messages } = json('workers') as {
      messages: number;
      rows: { masters: number; workers: number; perSecond: number }[];
    };
    const of = (masters: number) =>
      rows
        .filter((one) => one.masters === masters)
        .map(({ perSecond }) => Math.round(perSecond))
        .join(', ')
        .replace(/, (\d+)$/, ' and $1');
    const page = read('docs/sizing.md');
    expect(page).toContain(`${of(1)} messages a second on one master, ${of(3)} on three`);
    expect(page).toContain(`in runs of ${thousands(messages)} messages`);
    const { redisConnections } = json('footprint') as {
      redisConnections: { ofWebAndWorker: number; shards: number };
    };
    const { ofWebAndWorker, shards } = redisConnections;
    expect(page).toContain(`held ${ofWebAndWorker} to Redis with \`SHARDS=${shards}\``);
  });

  test('README.md, of npm run test:storm', () => {
    const { rows } = json('storm') as { rows: FaultRow[] };
    const all = (pick: (one: FaultRow) => number) => rows.reduce((sum, one) => sum + pick(one), 0);
    const harms = ['workers killed', 'Redis killed'].map((harm) => all(({ report }) => Number(report[harm] ?? 0)));
    expect(read('README.md')).toContain(
      `of ${thousands(all(({ accepted }) => accepted))} messages, while workers were killed ${harms[0] ?? ''} times and Redis ` +
        `${harms[1] ?? ''} times, ${all(({ lost }) => lost)} were lost, ${all((one) => one.dup_unambiguous)} sent twice ` +
        `without an outcome that was lost, and ${all(({ reordered }) => reordered)} out of order`,
    );
  });

  test('decision 42, of npm run bench:keys', () => {
    const { bytesPerKey, goneAfterMs } = json('keys') as {
      bytesPerKey: Record<string, Record<string, number>>;
      goneAfterMs: { del: number };
    };
    const page = read('docs/decisions/0042-keys-of-a-day-in-one-hash.md');
    for (const [way, ofWay] of Object.entries(bytesPerKey)) {
      const found = page.split('\n').find((line) => line.toLowerCase().startsWith(`| ${way.toLowerCase()}`));
      expect(found, way).toContain(`${Object.values(ofWay).join(' · ')} bytes`);
    }
    expect(page).toContain(`holds Redis up for ${seconds(goneAfterMs.del)} s`);
  });

  test('decision 2, F28-latency of npm run test:faults', () => {
    const { report } = row('faults', 'F28-latency');
    expect(read('docs/decisions/0002-begin-marks-the-hand-over.md')).toContain(
      `${report['sent meanwhile']} sent meanwhile`,
    );
  });
});
