import type { BarGroup } from './section.ts';

/*
 * A plain SVG of bars: no scripts, no fonts of its own, and colours that read on a light and on a dark page, because
 * an image on a web page does not always learn which one it is on.
 */

const WIDTH = 860;
const MARGIN = 20;
const LABEL_WIDTH = 210;
const VALUE_WIDTH = 110;
const BAR_HEIGHT = 18;
const BAR_STEP = 26;
const TITLE_HEIGHT = 34;
const GROUP_GAP = 18;
const HEADER = 58;

const TEXT = '#7a7f87';
const OURS = '#e0812f';
const OTHERS = '#8d99ab';

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const number = (value: number): string =>
  value >= 100
    ? Math.round(value).toLocaleString('en-US')
    : value.toLocaleString('en-US', { maximumFractionDigits: 1 });

function group({ title, unit, bars }: BarGroup, top: number): string[] {
  const most = Math.max(...bars.map(({ value }) => value));
  const room = WIDTH - 2 * MARGIN - LABEL_WIDTH - VALUE_WIDTH;
  const rows = bars.flatMap(({ label, value, isOurs }, at) => {
    const y = top + TITLE_HEIGHT + at * BAR_STEP;
    const width = Math.max(1, Math.round((value / most) * room));
    const middle = y + BAR_HEIGHT / 2;
    const weight = isOurs ? ' font-weight="600"' : '';
    return [
      `<text x="${MARGIN + LABEL_WIDTH - 10}" y="${middle}" text-anchor="end"${weight}>${escape(label)}</text>`,
      `<rect x="${MARGIN + LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" rx="3" fill="${isOurs ? OURS : OTHERS}"/>`,
      `<text x="${MARGIN + LABEL_WIDTH + width + 8}" y="${middle}"${weight}>${number(value)}${escape(unit)}</text>`,
    ];
  });
  return [
    `<text x="${MARGIN}" y="${top + TITLE_HEIGHT / 2}" font-size="15" font-weight="600">${escape(title)}</text>`,
    ...rows,
  ];
}

const heightOf = ({ bars }: BarGroup): number => TITLE_HEIGHT + bars.length * BAR_STEP + GROUP_GAP;

/** Draws groups of bars under one another; each group has a scale of its own. */
export function drawChart(title: string, subtitle: string, groups: readonly BarGroup[]): string {
  const drawn = groups
    .map((one) => ({ ...one, bars: one.bars.filter(({ value }) => Number.isFinite(value)) }))
    .filter(({ bars }) => bars.length > 0);
  let top = HEADER;
  const parts = drawn.flatMap((one) => {
    const lines = group(one, top);
    top += heightOf(one);
    return lines;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" role="img" aria-label="${escape(title)}">`,
    `<title>${escape(title)}</title>`,
    `<g font-family="system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif" font-size="13" fill="${TEXT}" dominant-baseline="central">`,
    `<text x="${MARGIN}" y="22" font-size="19" font-weight="700">${escape(title)}</text>`,
    `<text x="${MARGIN}" y="44" font-size="12">${escape(subtitle)}</text>`,
    ...parts,
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}
