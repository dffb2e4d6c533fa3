import type { TestCase, TestModule } from 'vitest/node';
import { faultResult } from './settings.ts';
import { tableOf, writeResults, type FaultRow } from './table.ts';

/** After the run: one table of all fault tests, on stdout and in bench/results. */
export default class FaultTableReporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const rows = modules.flatMap((module) => [...module.children.allTests()]).flatMap(rowsOf);
    if (rows.length === 0) return;
    rows.sort((a, b) => a.id.localeCompare(b.id, 'en', { numeric: true }));
    console.log(`\n${tableOf(rows)}\n`);
    // A part of the suite would overwrite the table of the whole.
    const isWhole = modules.every((module) =>
      [...module.children.allTests()].every((test) => test.result().state !== 'skipped'),
    );
    const folder = new URL('../../../bench/results', import.meta.url).pathname;
    if (faultResult !== undefined) writeResults(folder, faultResult, rows);
    else if (isWhole && modules.length > 1) writeResults(folder, 'faults', rows);
  }
}

function rowsOf(test: TestCase): FaultRow[] {
  return test.meta().faultRows ?? [];
}
