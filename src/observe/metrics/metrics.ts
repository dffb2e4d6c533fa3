import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';

/** Everything that was known at one moment. */
export interface Snapshot {
  /** Wall clock, epoch ms. */
  readonly atMs: number;
  readonly figures: readonly Figure[];
}

export interface MetricsOptions {
  /** Figures this old are read anew; default 1,000 ms. */
  readonly freshMs?: number;
  /** A source that takes longer counts as failed; default 2,000 ms. */
  readonly sourceTimeoutMs?: number;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
  /** Figures of the process itself: memory, processor, event loop. Default true. */
  readonly ofProcess?: boolean;
}

export const SOURCE_UP: MetricDefinition = {
  name: 'waxwing_source_up',
  help: '1 when the figures of this part could be read, 0 when they are unknown now.',
  type: 'gauge',
  labels: ['source'],
  scope: 'process',
};

/** The figures of one process: what it counts itself (`registry`), and what its sources know when they are asked. */
export class Metrics {
  /** For counters and histograms that are told as things happen. */
  readonly registry = new Registry();
  readonly #options: Required<MetricsOptions>;
  readonly #sources = new Map<string, MetricSource>();
  readonly #gauges = new Map<string, Gauge | Counter>();
  readonly #definitions = new Map<string, MetricDefinition>();
  #reading: Promise<Snapshot> | undefined;
  #last: Snapshot | undefined;
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MetricsOptions = {}) {
    this.#options = { freshMs: 1000, sourceTimeoutMs: 2000, now: Date.now, ofProcess: true, ...options };
    this.#define(SOURCE_UP);
    if (this.#options.ofProcess) collectDefaultMetrics({ register: this.registry });
  }

  /** @throws Error when a source or a metric of this name is there already */
  register(source: MetricSource): void {
    if (this.#sources.has(source.name)) throw new Error(`there is already a source of figures named ${source.name}`);
    for (const definition of source.metrics) this.#define(definition);
    this.#sources.set(source.name, source);
  }

  /** What the sources tell, without what is told as things happen. */
  get definitions(): readonly MetricDefinition[] {
    return [...this.#definitions.values()];
  }

  /** All sources' figures, at most `freshMs` old. Never rejects: what cannot be read is absent. */
  async snapshot(): Promise<Snapshot> {
    if (this.#last !== undefined && performance.now() - this.#readAtMs < this.#options.freshMs) return this.#last;
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    return await this.#reading;
  }

  /** All of it in Prometheus' text format. */
  async text(): Promise<string> {
    const { figures } = await this.snapshot();
    for (const gauge of this.#gauges.values()) gauge.reset();
    for (const { name, value, labels } of figures) {
      const gauge = this.#gauges.get(name);
      if (gauge === undefined || !Number.isFinite(value)) continue;
      if (gauge instanceof Counter) gauge.inc(labels ?? {}, Math.max(0, value));
      else gauge.set(labels ?? {}, value);
    }
    return await this.registry.metrics();
  }

  async #read(): Promise<Snapshot> {
    const figures: Figure[] = [];
    await Promise.all(
      [...this.#sources.values()].map(async (source) => {
        const read = await this.#readSource(source);
        figures.push(...(read ?? []));
        const labels = { source: source.name };
        figures.push({ name: SOURCE_UP.name, labels, value: read === null ? 0 : 1 });
      }),
    );
    this.#last = { atMs: this.#options.now(), figures };
    this.#readAtMs = performance.now();
    return this.#last;
  }

  async #readSource(source: MetricSource): Promise<readonly Figure[] | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), this.#options.sourceTimeoutMs);
    });
    try {
      // An async function, so that a source that throws at once is one that rejects.
      return await Promise.race([(async () => await source.read())(), late]);
    } catch {
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  #define(definition: MetricDefinition): void {
    const { name, help, type, labels = [] } = definition;
    if (this.#definitions.has(name)) throw new Error(`there is already a metric named ${name}`);
    const options = { name, help, labelNames: [...labels], registers: [this.registry] };
    this.#definitions.set(name, definition);
    this.#gauges.set(name, type === 'counter' ? new Counter(options) : new Gauge(options));
  }
}
