import { stripVTControlCharacters } from 'node:util';
import type { SerializedError, TestCase, TestModule } from 'vitest/node';
import { faultResult } from './settings.ts';
import { tableOf, writeResults, type FaultRow } from './table.ts';

/**
 * After the run: one table of all fault tests, on stdout. In bench/results only when it is asked for: the figures in the
 * pages are those of the files there, and a run to see whether all holds is no new measurement.
 */
export default class FaultTableReporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap(rowsOf);
    const broken = [
      ...tests.filter((test) => test.result().state === 'failed').map(wordsOf),
      // One that nobody caught fails a run in which every test has passed.
      ...unhandled.map((error) => inWords('outside of any test', [error])),
    ];
    rows.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
    if (rows.length > 0) console.log(`\n${tableOf(rows)}\n`);
    // Behind the table: whoever sees only the end of a long output sees what broke.
    if (broken.length > 0) console.log(`What broke:\n\n${broken.join('\n')}\n`);
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
  return inWords(test.fullName, test.result().errors ?? []);
}

interface Failure {
  readonly message: string;
  readonly diff?: unknown;
  readonly stack?: string | undefined;
}

function inWords(name: string, failures: readonly Failure[]): string {
  const lines = failures.flatMap(({ message, diff, stack = '' }) => [
    ...`${message}\n${typeof diff === 'string' ? stripVTControlCharacters(diff) : ''}`.split('\n').slice(0, LINES_MAX),
    ...stack.split('\n').filter((line) => line.trimStart().startsWith('at ')),
  ]);
  return [name, ...lines.filter((line) => line.trim() !== '').map((line) => `    ${line}`)].join('\n');
}
