import { stripVTControlCharacters } from 'node:util';
import type { TestCase, TestModule } from 'vitest/node';
import { faultResult } from './settings.ts';
import { tableOf, writeResults, type FaultRow } from './table.ts';

/**
 * After the run: one table of all fault tests, on stdout. In bench/results only when it is asked for: the figures in the
 * pages are those of the files there, and a run to see whether all holds is no new measurement.
 */
export default class FaultTableReporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap(rowsOf);
    const broken = tests.filter((test) => test.result().state === 'failed').map(wordsOf);
    rows.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
    if (rows.length > 0) console.log(`\n${tableOf(rows)}\n`);
    // Behind the table: whoever sees only the end of a long output sees what broke.
    if (broken.length > 0) console.log(`What broke (${broken.length} of ${tests.length}):\n\n${broken.join('\n')}\n`);
    if (rows.length === 0 || faultResult === undefined) return;
    writeResults(new URL('../../../bench/results', import.meta.url).pathname, faultResult, rows);
  }
}

function rowsOf(test: TestCase): FaultRow[] {
  return test.meta().faultRows ?? [];
}

const LINES_MAX = 25;

/** A failed test, also one that came to no row: its name and what its errors say. */
function wordsOf(test: TestCase): string {
  const lines = (test.result().errors ?? []).flatMap(({ message, diff, stack }) => [
    ...`${message}\n${stripVTControlCharacters(diff ?? '')}`.split('\n').slice(0, LINES_MAX),
    ...(stack ?? '').split('\n').filter((line) => line.includes('/test/')),
  ]);
  return [test.fullName, ...lines.filter((line) => line.trim() !== '').map((line) => `    ${line}`)].join('\n');
}
