/**
 * How a part of the program tells its figures. Any room may implement `MetricSource`; `observe` reads all of them for
 * `/metrics`, for the alert rules and for the health pages, so that the three never disagree.
 */
export interface MetricDefinition {
  /** `waxwing_…` in snake case with the unit at the end (`_seconds`, `_bytes`); counters end in `_total`. */
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  /** A counter only grows, from its process' start; a gauge is what is now. */
  readonly type: 'gauge' | 'counter';
  /** Names of the labels; their values must be bounded: never a message, a person or a conversation. */
  readonly labels?: readonly string[];
  /**
   * `shared`: every process reads the same value from Redis or PostgreSQL, so a reader takes the greatest of them.
   * `process`: each process has its own, so a reader adds them up.
   */
  readonly scope: 'shared' | 'process';
}

export interface Figure {
  /** One of the source's own metrics. */
  readonly name: string;
  /** NaN and infinities are left out. */
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface MetricSource {
  /** Short and unique: `circuit`, `jobs`, `cache`. `waxwing_source_up{source=…}` is 0 while `read()` fails. */
  readonly name: string;
  readonly metrics: readonly MetricDefinition[];
  /**
   * The figures now. Read at most once a second; may ask Redis or PostgreSQL, and is given up after two seconds.
   * A rejection means "not known now": the figures are then absent and never old.
   */
  read(): Promise<readonly Figure[]> | readonly Figure[];
}
