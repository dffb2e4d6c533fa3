/** One hour of one cache. */
export interface ChartedHour {
  readonly atMs: number;
  readonly hits: number;
  readonly misses: number;
}

const WIDTH = 720;
const HEIGHT = 220;
const LEFT = 44;
const BOTTOM = 26;
const TOP = 34;

/**
 * The history of a cache as a picture: a bar per hour, hits below and misses above, and a line for the hit rate.
 * SVG without scripts or outside parts, readable on light and dark pages.
 * @param hours oldest first, at most 744
 */
export function historyChart(cache: string, hours: readonly ChartedHour[]): string {
  const most = Math.max(1, ...hours.map(({ hits, misses }) => hits + misses));
  const step = (WIDTH - LEFT - 8) / Math.max(1, hours.length);
  const plot = HEIGHT - TOP - BOTTOM;
  const y = (share: number): number => round(TOP + plot * (1 - share));
  const bars = hours.map(({ hits, misses }, index) => {
    const x = round(LEFT + index * step);
    const width = round(Math.max(1, step - 1));
    const top = y((hits + misses) / most);
    const middle = y(hits / most);
    return (
      `<rect x="${x}" y="${middle}" width="${width}" height="${round(y(0) - middle)}" fill="#2f8f5b"/>` +
      `<rect x="${x}" y="${top}" width="${width}" height="${round(middle - top)}" fill="#d9822b"/>`
    );
  });
  const line = hours.flatMap(({ hits, misses }, index) =>
    hits + misses === 0 ? [] : [`${round(LEFT + (index + 0.5) * step)},${y(hits / (hits + misses))}`],
  );
  const saved = hours.reduce((sum, { hits }) => sum + hits, 0);
  const uses = hours.reduce((sum, { hits, misses }) => sum + hits + misses, 0);
  const share = uses === 0 ? 'no use' : `${((saved / uses) * 100).toFixed(1)} % hits`;
  const title = `${cache}: ${share}, ${saved.toLocaleString('en')} calls saved in ${hours.length} h`;
  const first = hours[0];
  const last = hours.at(-1);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="#7a7a7a">`,
    `<title>${escaped(title)}</title>`,
    `<text x="${LEFT}" y="18" font-size="14">${escaped(title)}</text>`,
    `<text x="${LEFT - 6}" y="${TOP + 4}" text-anchor="end">${most.toLocaleString('en')}</text>`,
    `<text x="${LEFT - 6}" y="${y(0)}" text-anchor="end">0</text>`,
    ...bars,
    line.length === 0
      ? ''
      : `<polyline points="${line.join(' ')}" fill="none" stroke="#3f6fd8" stroke-width="2"><title>hit rate, 0 to 100 %</title></polyline>`,
    first === undefined ? '' : `<text x="${LEFT}" y="${HEIGHT - 8}">${hourOf(first)}</text>`,
    last === undefined ? '' : `<text x="${WIDTH - 8}" y="${HEIGHT - 8}" text-anchor="end">${hourOf(last)}</text>`,
    '</svg>',
  ].join('\n');
}

const round = (value: number): number => Math.round(value * 10) / 10;
const hourOf = ({ atMs }: ChartedHour): string =>
  `${new Date(atMs).toISOString().slice(0, 13).replace('T', ' ')}:00 UTC`;
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
