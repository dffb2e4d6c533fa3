import type { Reading } from './evaluate.ts';
import type { AlertRule } from './rule.ts';

/** One alert: a rule, or one value of its `by` label. Times are the wall clock, epoch ms. */
export interface Alert {
  readonly rule: string;
  /** Value of the rule's `by` label; empty = the rule has one alert only. */
  readonly instance: string;
  /** `pending`: true, but not for long enough yet. */
  readonly state: 'pending' | 'firing' | 'resolved';
  readonly value: number;
  /** Since when the condition holds. */
  readonly sinceMs: number;
  readonly firedAtMs: number | null;
  /** Since when it no longer holds; it ends when that has lasted. */
  readonly calmSinceMs: number | null;
  readonly resolvedAtMs: number | null;
}

export interface Change {
  readonly kind: 'firing' | 'resolved';
  readonly alert: Alert;
}

/** An alert that flickers is one alert: it ends when its condition was false for this long. */
export const CALM_MS = 30_000;
/** What ended stays visible for a day. */
const REMEMBER_MS = 24 * 3_600_000;

/**
 * The next states of a rule's alerts. What is not known now (no reading) stays as it was: silence is no recovery.
 * Doing it twice with the same readings and time changes nothing.
 */
export function advance(
  rule: AlertRule,
  before: readonly Alert[],
  readings: readonly Reading[],
  nowMs: number,
): { readonly alerts: Alert[]; readonly changes: Change[] } {
  const changes: Change[] = [];
  const known = new Map(before.map((alert) => [alert.instance, alert]));
  for (const reading of readings) {
    const next = step(rule, known.get(reading.instance), reading, nowMs);
    const was = known.get(reading.instance)?.state;
    if (next === null) known.delete(reading.instance);
    else known.set(reading.instance, next);
    if (next?.state === 'firing' && was !== 'firing') changes.push({ kind: 'firing', alert: next });
    if (next?.state === 'resolved' && was === 'firing') changes.push({ kind: 'resolved', alert: next });
  }
  const alerts = [...known.values()].filter(
    ({ resolvedAtMs }) => resolvedAtMs === null || nowMs - resolvedAtMs < REMEMBER_MS,
  );
  return { alerts, changes };
}

function step(rule: AlertRule, before: Alert | undefined, reading: Reading, nowMs: number): Alert | null {
  const { instance, value, isTrue } = reading;
  const isOver = before === undefined || before.state === 'resolved';
  if (!isTrue) {
    if (isOver) return before ?? null;
    if (before.state === 'pending') return null;
    const calmSinceMs = before.calmSinceMs ?? nowMs;
    if (nowMs - calmSinceMs < CALM_MS) return { ...before, value, calmSinceMs };
    return { ...before, state: 'resolved', value, calmSinceMs, resolvedAtMs: nowMs };
  }
  const sinceMs = isOver ? nowMs : before.sinceMs;
  const isFiring = (!isOver && before.state === 'firing') || nowMs - sinceMs >= rule.forSeconds * 1000;
  return {
    rule: rule.id,
    instance,
    state: isFiring ? 'firing' : 'pending',
    value,
    sinceMs,
    firedAtMs: isFiring ? ((isOver ? null : before.firedAtMs) ?? nowMs) : null,
    calmSinceMs: null,
    resolvedAtMs: null,
  };
}
