import { setTimeout as delay } from 'node:timers/promises';
import { onTestFinished } from 'vitest';

/** As long as one look may take before the rest of it counts as standing still. */
const LOOK_MS_MAX = 30;

export interface Standstill {
  /** Time since `watchStandstill()` in which nothing could go on, ms. */
  ms(): number;
}

/**
 * On a busy machine any process may stand still for a while, and everything is late by as much. A test that bounds a
 * duration from above allows that much more: `toBeLessThan(2000 + standstill.ms())`. Looks all the time until the test
 * is over whether this process comes to work, and with `ping` whether a server answers it. Time in which this process
 * computed is no standstill.
 */
export function watchStandstill(ping: () => Promise<unknown> = () => Promise.resolve()): Standstill {
  let stoodMs = 0;
  let lookedAtMs = performance.now();
  let usage = process.cpuUsage();
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const look = async () => await ping();
  const beyond = () => {
    const { user, system } = process.cpuUsage(usage);
    return Math.max(0, performance.now() - lookedAtMs - (user + system) / 1000 - LOOK_MS_MAX);
  };
  void (async () => {
    while (!over.signal.aborted) {
      await delay(5);
      await look().catch(() => undefined);
      stoodMs += beyond();
      lookedAtMs = performance.now();
      usage = process.cpuUsage();
    }
  })();
  return { ms: () => stoodMs + beyond() };
}
