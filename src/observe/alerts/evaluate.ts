import type { Figure } from '../../model/figures.ts';
import type { AlertRule, Condition, Selector } from './rule.ts';

/** One rule, or one value of its `by` label, at one moment. */
export interface Reading {
  /** Value of the `by` label; empty when the rule has none. */
  readonly instance: string;
  readonly value: number;
  readonly isTrue: boolean;
}

/** Sums of counters over time, so that a window can be looked back at. Kept in memory by every process. */
export class History {
  readonly #series = new Map<string, { readonly atMs: number; readonly value: number }[]>();

  /** Adds a sum; one that is smaller than the last began anew with its server, and so does the window. */
  add(key: string, atMs: number, value: number, windowMs: number): void {
    const points = this.#series.get(key) ?? [];
    this.#series.set(key, points);
    const last = points.at(-1);
    if (last !== undefined && value < last.value) points.length = 0;
    points.push({ atMs, value });
    // One point from before the window stays: it is where the window begins.
    while ((points[1]?.atMs ?? Infinity) <= atMs - windowMs) points.shift();
    // A long window needs no point for every look.
    if (points.length > POINTS_MAX) points.splice(1, points.length - 2, ...points.slice(1, -1).filter((_, i) => i % 2));
  }

  /** What came since the beginning of the window, or since the first look. */
  increase(key: string): number {
    const points = this.#series.get(key) ?? [];
    return (points.at(-1)?.value ?? 0) - (points[0]?.value ?? 0);
  }
}

const POINTS_MAX = 1000;

/** What a rule says of the figures; an empty list when they are not known. */
export function evaluate(rule: AlertRule, figures: readonly Figure[], history: History, nowMs: number): Reading[] {
  const { condition } = rule;
  const by = 'by' in condition ? condition.by : undefined;
  const instances = by === undefined ? [''] : labelValues(figures, selectorOf(condition), by);
  return instances.flatMap((instance) => {
    const own = by === undefined ? figures : figures.filter(({ labels }) => labels?.[by] === instance);
    const value = valueOf(condition, own, history, `${rule.id}|${instance}`, nowMs);
    return value === null ? [] : [{ instance, value, isTrue: isTrue(condition, value) }];
  });
}

function valueOf(
  condition: Condition,
  figures: readonly Figure[],
  history: History,
  key: string,
  nowMs: number,
): number | null {
  switch (condition.kind) {
    case 'level':
      return level(figures, condition.of, condition.take);
    case 'increase': {
      const total = level(figures, condition.of, 'sum');
      if (total === null) return null;
      history.add(key, nowMs, total, condition.windowSeconds * 1000);
      return history.increase(key);
    }
    case 'share': {
      let part = level(figures, condition.part, 'sum');
      const sums = condition.of.map((selector) => level(figures, selector, 'sum'));
      if (part === null || sums.every((sum) => sum === null)) return null;
      let of = sums.reduce<number>((total, sum) => total + (sum ?? 0), 0);
      if (condition.windowSeconds !== undefined) {
        const windowMs = condition.windowSeconds * 1000;
        history.add(`${key}|part`, nowMs, part, windowMs);
        history.add(`${key}|of`, nowMs, of, windowMs);
        part = history.increase(`${key}|part`);
        of = history.increase(`${key}|of`);
      }
      // Too few to say anything: as good as it can be, so that an old alert ends.
      if (of < condition.atLeast) return condition.op === '>' ? 0 : 1;
      return part / of;
    }
  }
}

function isTrue(condition: Condition, value: number): boolean {
  if (condition.kind === 'increase') return value > condition.above;
  return condition.op === '>' ? value > condition.value : value < condition.value;
}

function level(figures: readonly Figure[], selector: Selector, take: 'sum' | 'max' | 'min'): number | null {
  const values = figures.filter((figure) => matches(figure, selector)).map(({ value }) => value);
  if (values.length === 0) return null;
  if (take === 'sum') return values.reduce((total, value) => total + value, 0);
  return take === 'max' ? Math.max(...values) : Math.min(...values);
}

function matches({ name, value, labels }: Figure, selector: Selector): boolean {
  if (name !== selector.metric || !Number.isFinite(value)) return false;
  return Object.entries(selector.where ?? {}).every(([label, wanted]) => {
    const found = labels?.[label];
    return found !== undefined && (typeof wanted === 'string' ? found === wanted : wanted.includes(found));
  });
}

function selectorOf(condition: Condition): Selector {
  return condition.kind === 'share' ? condition.part : condition.of;
}

function labelValues(figures: readonly Figure[], selector: Selector, label: string): string[] {
  const values = figures.filter((figure) => matches(figure, selector)).flatMap(({ labels }) => labels?.[label] ?? []);
  return [...new Set(values)].sort();
}

/** Every metric that a rule looks at. */
export function metricsOf(rule: AlertRule): string[] {
  const { condition } = rule;
  const selectors = condition.kind === 'share' ? [condition.part, ...condition.of] : [condition.of];
  return [...new Set(selectors.map(({ metric }) => metric))];
}
