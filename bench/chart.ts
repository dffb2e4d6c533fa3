import type { Table } from './figures.ts';

/** Bars of the throughput tables as an SVG that is readable on light and dark ground. */
export function renderChart(tables: readonly Table[], machine: string): string {
  const charts = tables.filter(({ head }) => head.includes('accept/s') && head.includes('drain/s') && head[0] === '');
  const ROW = 20;
  const WIDTH = 760;
  const parts: string[] = [];
  let y = 24;
  for (const { title, rows } of charts) {
    parts.push(text(12, y, title, 'bold'));
    y += 12;
    for (const [column, name] of [
      [1, 'accept/s'],
      [2, 'drain/s'],
    ] as const) {
      const values = rows.map((row) => Number((row[column] ?? '').replaceAll(',', '')));
      const top = Math.max(...values.filter(Number.isFinite), 1);
      y += ROW;
      parts.push(text(12, y, name, 'bold'));
      rows.forEach((row, index) => {
        y += ROW;
        const value = values[index] ?? 0;
        const width = Math.max(1, (value / top) * (WIDTH - 320));
        const fill = (row[0] ?? '').startsWith('Waxwing') ? '#2f8f5b' : '#8a93a3';
        parts.push(text(24, y, row[0] ?? ''));
        parts.push(`<rect x="190" y="${y - 12}" width="${width.toFixed(1)}" height="14" rx="2" fill="${fill}"/>`);
        parts.push(text(198 + width, y, row[column] ?? ''));
      });
    }
    y += 2 * ROW;
  }
  parts.push(text(12, y, machine));
  const style =
    'text{font:12px system-ui,sans-serif;fill:#5b6472}.bold{font-weight:600}@media(prefers-color-scheme:dark){text{fill:#aeb6c2}}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 16}" role="img" aria-label="Accepts and drains per second"><style>${style}</style>${parts.join('')}</svg>\n`;
}

function text(x: number, y: number, words: string, style = ''): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}"${style === '' ? '' : ` class="${style}"`}>${safe}</text>`;
}
