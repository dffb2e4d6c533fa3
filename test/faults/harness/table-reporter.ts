import type { TestCase, TestModule } from 'vitest/node';
import { faultResult } from './settings.ts';
import { tableOf, writeResults, type FaultRow } from './table.ts';

/**
 * After the run: one table of all fault tests, on stdout. In bench/results only when it is asked for: the figures in the
 * pages are those of the files there, and a run to see whether all holds is no new measurement.
 */
export default class FaultTableReporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.flatMap((module) => [...module.children.allTests()]).flatMap(rowsOf);
    if (rows.length === 0) return;
    rows.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
    console.log(`\n${tableOf(rows)}\n`);
    if (faultResult === undefined) return;
    writeResults(new URL('../../../bench/results', import.meta.url).pathname, faultResult, rows);
  }
}

function rowsOf(test: TestCase): FaultRow[] {
  return test.meta().faultRows ?? [];
}
