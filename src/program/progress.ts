import { ProgressWatch } from '../observe/index.ts';
import type { Observing } from './observing.ts';

const EVERY_MS = 2000;

export interface Progress {
  /** @throws Error when the worker takes nothing although work is due */
  check(): void;
  stop(): void;
}

/** Watches a worker's progress for `/ready`. */
export function watchProgress(observing: Pick<Observing, 'metrics' | 'settled'>, inWork: () => number): Progress {
  const watch = new ProgressWatch();
  const look = async () => {
    const { figures } = await observing.metrics.snapshot();
    const ready = figures.find(({ name, labels }) => name === 'waxwing_backlog_held' && labels?.['hold'] === 'ready');
    watch.observe({ due: ready?.value ?? null, taken: observing.settled(), inWork: inWork() }, performance.now());
  };
  const timer = setInterval(() => void look(), EVERY_MS);
  timer.unref();
  return {
    check: () => watch.assertProgress(performance.now()),
    stop: () => clearInterval(timer),
  };
}
