import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../bench/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'waxwing-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bench = (...args: string[]) =>
  run(process.execPath, ['--import', 'tsx', MAIN, ...args], { timeout: 110_000, maxBuffer: 2 ** 24 });

interface Report {
  readonly at: string;
  readonly machine: string;
  readonly figures: { what: string; floor: string; aim: string; reached: string; isMet: boolean | null }[];
  readonly sections: { throughput: { rounds: Record<string, Record<string, { acceptPerSecond: number }[]>> } };
}

describe('npm run bench', () => {
  it('measures everybody in both configurations and writes figures and a chart', { timeout: 120_000 }, async () => {
    const args = ['--quick', '--only', 'throughput', '--messages', '100', '--out', folder, '--json'];
    const { stdout } = await bench(...args);
    const report = JSON.parse(stdout) as Report;

    expect(readFileSync(join(folder, 'latest.json'), 'utf8')).toBe(stdout);
    expect(Date.parse(report.at)).toBeGreaterThan(0);
    expect(report.machine).toMatch(/^\d+ cores .*Node \d+.*Redis \d+/);
    expect(report.figures.length).toBeGreaterThanOrEqual(5);
    for (const figure of report.figures) {
      expect(figure).toMatchObject({ what: /./, floor: /./, reached: /./ });
      expect(figure.reached).not.toContain('NaN');
    }

    // The provider answers in any order, and still ours arrive in theirs; a queue that keeps none shows it.
    const order = report.figures.find(({ what }) => what.includes('out of order'));
    expect(order).toMatchObject({ isMet: true });
    expect(order?.reached).toMatch(/Waxwing 0 .*BullMQ [1-9]/);

    const { rounds } = report.sections.throughput;
    expect(Object.keys(rounds)).toEqual(['always', 'off']);
    for (const configuration of Object.values(rounds)) {
      expect(Object.keys(configuration)).toEqual(
        expect.arrayContaining(['raw stream', 'BullMQ add', 'BullMQ addBulk (50)', 'GroupMQ', 'Waxwing']),
      );
      for (const turns of Object.values(configuration)) {
        expect(turns).toHaveLength(1);
        expect(turns[0]?.acceptPerSecond).toBeGreaterThan(0);
      }
    }

    const svg = readFileSync(join(folder, 'latest.svg'), 'utf8');
    expect(svg).toMatch(/^<svg [^>]*viewBox=/);
    expect(svg).toContain('Waxwing');
    expect(svg.match(/<rect /g)?.length).toBeGreaterThan(10);
    expect(svg).not.toMatch(/NaN|undefined/);
  });

  it('refuses an option that it does not know, with the options that it has', async () => {
    await expect(bench('--only', 'nothing')).rejects.toMatchObject({ code: 2, stderr: /--only knows throughput/ });
    await expect(bench('--rounds', 'many')).rejects.toMatchObject({ code: 2, stderr: /whole number/ });
    await expect(bench('--fast')).rejects.toMatchObject({ code: 2, stderr: /--quick/ });
  });
});
