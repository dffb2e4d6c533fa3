import { signal } from '@preact/signals';
import type { LiveHistory, LivePoint, LiveSnapshot, LiveUpdate } from '../../../src/observe/live/types.ts';

export const snapshot = signal<LiveSnapshot | null>(null);
/** Oldest first, at most ten minutes. */
export const points = signal<readonly LivePoint[]>([]);
export const link = signal<'connecting' | 'live' | 'lost'>('connecting');
/** How far this machine's clock is before the server's, ms. */
export const skewMs = signal(0);

const POINTS_MAX = 600;
/** Without a word for this long, what is shown is old. */
const SILENT_MS = 4000;

let source: EventSource | undefined;
let watchdog = 0;

/** Keeps the figures live. The browser connects again by itself; when it gives up, so do we after a moment. */
export function connect(): void {
  source?.close();
  source = new EventSource('/dashboard/api/stream');
  source.addEventListener('history', (event) => {
    points.value = (JSON.parse(event.data as string) as LiveHistory).points;
  });
  source.addEventListener('update', (event) => {
    const update = JSON.parse(event.data as string) as LiveUpdate;
    snapshot.value = update.snapshot;
    skewMs.value = Date.now() - update.snapshot.atMs;
    if (update.points.length > 0) points.value = [...points.value, ...update.points].slice(-POINTS_MAX);
    link.value = 'live';
    clearTimeout(watchdog);
    watchdog = window.setTimeout(() => (link.value = 'lost'), SILENT_MS);
  });
  source.addEventListener('error', () => {
    link.value = 'lost';
    if (source?.readyState === EventSource.CLOSED) window.setTimeout(connect, 3000);
  });
}
