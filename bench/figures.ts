/** One row of the table: what was to be reached, and what was. */
export interface Figure {
  readonly what: string;
  readonly floor: string;
  readonly aim: string;
  readonly reached: string;
  /** Null where the figure is only reported. */
  readonly ok: boolean | null;
}

/** What one section measured. */
export interface SectionResult {
  readonly figures: readonly Figure[];
  /** Tables for a person: title, head, rows. */
  readonly tables: readonly Table[];
  /** Everything measured, for machines. */
  readonly data: unknown;
}

export interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface BenchContext {
  readonly quick: boolean;
  readonly rounds: number;
  /** Told before each step; for the progress line. */
  readonly step: (what: string) => void;
}

export function atLeast(what: string, floor: number, aim: number, reached: number): Figure {
  return { what, floor: `≥ ${floor}`, aim: `${aim}`, reached: reached.toFixed(2), ok: reached >= floor };
}

export function atMost(what: string, floor: number, aim: number | null, reached: number, unit = ''): Figure {
  const show = (value: number) => `${value}${unit}`;
  const digits = reached < 1 ? 2 : 1;
  return {
    what,
    floor: `≤ ${show(floor)}`,
    aim: aim === null ? '' : show(aim),
    reached: `${reached.toFixed(digits)}${unit}`,
    ok: reached <= floor,
  };
}

export function perSecond(count: number, tookMs: number): number {
  return (count / tookMs) * 1000;
}

export function thousands(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en') : '–';
}
