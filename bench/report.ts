import type { Figure, Table } from './section.ts';

/** A table as text, columns aligned: first one to the left, the others to the right. */
export function formatTable({ title, columns, rows, notes = [] }: Table): string {
  const widths = columns.map((column, at) => Math.max(column.length, ...rows.map((row) => (row[at] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ');
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [title, rule, line(columns), rule, ...rows.map(line), rule, ...notes].join('\n').replaceAll(/ +$/gm, '');
}

/** The figures with what was asked for; `below` marks a floor that was not reached. */
export function formatFigures(figures: readonly Figure[]): string {
  return figures
    .map(({ what, floor, aim, reached, isMet }) => {
      const mark = isMet === null ? ' ' : isMet ? '✓' : '✗';
      const asked = [...(floor === '' ? [] : [`floor ${floor}`]), ...(aim === '' ? [] : [`aim ${aim}`])].join(' · ');
      return `${mark} ${what}\n    reached ${reached}${isMet === false ? '   BELOW THE FLOOR' : ''}${asked === '' ? '' : `\n    ${asked}`}`;
    })
    .join('\n');
}
