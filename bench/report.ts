import type { Figure, Table } from './figures.ts';

/** A table with aligned columns for a terminal. */
export function renderTable({ title, head, rows }: Table): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
      .join('  ');
  return [title, line(head), widths.map((width) => '─'.repeat(width)).join('──'), ...rows.map(line), ''].join('\n');
}

export function renderFigures(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, floor, aim, reached, ok }) => [
    what,
    floor,
    aim,
    reached,
    ok === null ? '' : ok ? '✓' : '✗',
  ]);
  return renderTable({ title: 'To reach', head: ['', 'floor', 'aim', 'reached', ''], rows });
}
