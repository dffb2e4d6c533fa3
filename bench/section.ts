/** A line of the table of figures: what was asked for and what this run reached. */
export interface Figure {
  readonly what: string;
  readonly floor: string;
  readonly aim: string;
  readonly reached: string;
  /** Is the floor reached; null when the line has none. */
  readonly isMet: boolean | null;
}

export interface Table {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences under the table. */
  readonly notes?: readonly string[];
}

/** One group of bars of the chart. */
export interface BarGroup {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly { readonly label: string; readonly value: number; readonly isOurs: boolean }[];
}

export interface SectionResult {
  readonly figures: readonly Figure[];
  readonly tables: readonly Table[];
  readonly charts: readonly BarGroup[];
  /** Everything that was measured, for machines. */
  readonly data: unknown;
}

export interface BenchContext {
  /** Fewer messages and rounds: a look, not a measurement. */
  readonly isQuick: boolean;
  readonly rounds: number;
  /** Messages of one turn of one contestant. */
  readonly messages: number;
  /** Told before each step, for the progress bar. */
  readonly step: (what: string) => void;
}

export interface Section {
  readonly name: SectionName;
  /** Steps that `run` will announce, so that the bar knows its length. */
  readonly steps: (context: BenchContext) => number;
  readonly run: (context: BenchContext) => Promise<SectionResult>;
}

export const SECTION_NAMES = ['throughput', 'memory', 'scale', 'latency', 'http', 'timers', 'quiet'] as const;
export type SectionName = (typeof SECTION_NAMES)[number];

export const rate = (perSecond: number): string => Math.round(perSecond).toLocaleString('en-US');
export const ratio = (value: number): string => (Number.isNaN(value) ? '–' : `${value.toFixed(2)}×`);
export const ms = (value: number): string => (Number.isNaN(value) ? '–' : `${value.toFixed(1)} ms`);
