import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { perSecond } from './format.ts';
import { points } from './live.ts';

const SERIES = ['accepted', 'sent', 'delivered', 'failed'] as const;
const MINUTES = 5;
const HEIGHT = 220;

/** Colours follow the theme; a canvas cannot read the style sheet by itself. */
function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function dataOf(): uPlot.AlignedData {
  const shown = points.value.slice(-MINUTES * 60);
  return [
    shown.map(({ atMs }) => atMs / 1000),
    ...SERIES.map((name) => shown.map((point) => Math.round(point[name] * 10) / 10)),
  ] as uPlot.AlignedData;
}

function optionsOf(width: number): uPlot.Options {
  const axis = { stroke: colour('dim'), grid: { stroke: colour('grid'), width: 1 }, ticks: { show: false } };
  return {
    width,
    height: HEIGHT,
    cursor: { y: false, points: { size: 7 } },
    legend: { show: true, live: true },
    scales: {
      x: {
        time: true,
        range: (_, __, max) => {
          const end = Number.isFinite(max) && max > 0 ? max : Date.now() / 1000;
          return [end - MINUTES * 60, end];
        },
      },
      y: { range: (_, __, max) => [0, Math.max(5, (Number.isFinite(max) ? max : 0) * 1.15)] },
    },
    axes: [
      { ...axis, values: '{HH}:{mm}', space: 70, font: FONT },
      { ...axis, size: 44, font: FONT, values: (_, values) => values.map((value) => perSecond(value)) },
    ],
    series: [
      { label: 'Time', value: '{HH}:{mm}:{ss}' },
      ...SERIES.map((name) => ({
        label: NAMES[name],
        stroke: colour(name),
        width: name === 'sent' ? 2.5 : 1.75,
        ...(name === 'sent' ? { fill: colour('sent-soft') } : {}),
        ...(name === 'accepted' ? { dash: [5, 4] } : {}),
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : `${perSecond(value)}/s`),
      })),
    ],
  };
}

const FONT = '12px system-ui, sans-serif';
const NAMES = { accepted: 'Accepted', sent: 'Sent', delivered: 'Delivered', failed: 'Failed' };

/** The last minutes. For a screen reader the figures above it say the same. */
export function Chart() {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsOf(Math.max(240, element.clientWidth)), dataOf(), element);
    };
    draw();
    const size = new ResizeObserver(() => {
      plot.current?.setSize({ width: Math.max(240, element.clientWidth), height: HEIGHT });
    });
    size.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', draw);
    const stop = points.subscribe(() => plot.current?.setData(dataOf()));
    return () => {
      stop();
      size.disconnect();
      dark.removeEventListener('change', draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  return <div ref={box} class="chart" role="img" aria-label={`Messages per second in the last ${MINUTES} minutes`} />;
}
