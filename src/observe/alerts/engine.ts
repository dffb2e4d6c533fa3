import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';
import type { Snapshot } from '../metrics/metrics.ts';
import { evaluate, History, metricsOf } from './evaluate.ts';
import { type Deliver, type Delivery, deliverDue, type Notice, noticeOf } from './notices.ts';
import type { AlertRule } from './rule.ts';
import { advance, type Alert, type Change } from './state.ts';
import type { AlertState, AlertStore } from './store.ts';

export interface AlertEngineOptions {
  readonly rules: readonly AlertRule[];
  readonly metrics: {
    snapshot(): Promise<Snapshot>;
    readonly definitions: readonly MetricDefinition[];
  };
  readonly store: AlertStore;
  /** Unique for each start of a process. */
  readonly process: string;
  /** Null = alerts go to the log and to `/admin/alerts` only. */
  readonly deliver: Deliver | null;
  readonly onChange?: (rule: AlertRule, change: Change) => void;
  readonly onUndelivered?: (notice: Notice, error: unknown, isGivenUp: boolean) => void;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}

export const ALERT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_alerts',
    help: 'Alerts that are pending or firing now.',
    type: 'gauge',
    labels: ['alert', 'severity', 'state', 'instance_of'],
    scope: 'shared',
  },
  {
    name: 'waxwing_alert_notices_total',
    help: 'Attempts to tell the alert webhook, by result.',
    type: 'counter',
    labels: ['result'],
    scope: 'process',
  },
  {
    name: 'waxwing_alert_notices_waiting',
    help: 'Notices that the alert webhook has not taken yet.',
    type: 'gauge',
    scope: 'shared',
  },
];

/** How often every process looks. */
export const ALERT_EVERY_MS = 5000;
const STOP_MS = 1000;

/**
 * Looks at all rules every few seconds. Every process looks at the figures, so that each knows their history; one, by
 * a lease in Redis, decides, keeps the state there and tells people. While Redis is away the last leader goes on
 * alone with what it knows; what it then sends has the same id that any other would give it.
 */
export class AlertEngine {
  readonly #options: AlertEngineOptions;
  readonly #now: () => number;
  readonly #history = new History();
  readonly #ownNames: ReadonlySet<string>;
  #state: AlertState;
  #isLeader = false;
  #timer: NodeJS.Timeout | undefined;
  #ticking: Promise<void> | undefined;
  #delivering: Promise<void> | undefined;
  #delivered = 0;
  #undelivered = 0;
  #stopped = false;

  constructor(options: AlertEngineOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#state = { alerts: [], outbox: [], evaluatedAtMs: 0, by: '' };
    this.#ownNames = new Set(options.rules.flatMap(metricsOf));
  }

  /** The state as this process knows it: the leader's, at most one look old. */
  get state(): AlertState {
    return this.#state;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  start(everyMs = ALERT_EVERY_MS): void {
    const next = () => {
      this.#timer = setTimeout(() => void this.tick().finally(() => !this.#stopped && next()), everyMs);
      this.#timer.unref();
    };
    void this.tick();
    next();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#ticking;
    // What is not told in this time the next leader tells: the state has it.
    await Promise.race([this.#delivering, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
    await this.#options.store.leave(this.#options.process).catch(() => undefined);
  }

  /** One look. Never rejects; calls at the same time are one. */
  async tick(): Promise<void> {
    this.#ticking ??= this.#tick().finally(() => (this.#ticking = undefined));
    await this.#ticking;
  }

  /** Resolves when nothing is being sent right now. */
  async delivered(): Promise<void> {
    await this.#delivering;
  }

  async #tick(): Promise<void> {
    const { store, process } = this.#options;
    const { figures } = await this.#options.metrics.snapshot();
    let all = figures;
    let isConnected = false;
    try {
      const meeting = await store.meet(process, this.#ofThisProcess(figures));
      isConnected = true;
      all = [...figures, ...meeting.others];
      // A leader's own memory is newer than what it last could write.
      if (!(meeting.isLeader && this.#isLeader) && meeting.state !== null) this.#state = meeting.state;
      this.#isLeader = meeting.isLeader;
    } catch {
      // Redis is away: who led goes on, and the others show what they see for themselves.
    }
    const { next, changes } = this.#evaluate(all);
    // Whoever does not lead only keeps its history going; the leader's word is what counts.
    if (!this.#isLeader && isConnected) return;
    this.#state = next;
    if (!this.#isLeader) return;
    const nowMs = this.#now();
    for (const [rule, change] of changes) this.#options.onChange?.(rule, change);
    const notices = changes.map(([rule, change]) => noticeOf(rule, change, nowMs));
    if (this.#options.deliver !== null) this.#state = { ...next, outbox: [...next.outbox, ...notices] };
    await store.save(process, this.#state).catch(() => undefined);
    this.#send();
  }

  #evaluate(figures: readonly Figure[]): { next: AlertState; changes: [AlertRule, Change][] } {
    const nowMs = this.#now();
    const changes: [AlertRule, Change][] = [];
    const alerts: Alert[] = [];
    for (const rule of this.#options.rules) {
      const before = this.#state.alerts.filter((alert) => alert.rule === rule.id);
      const after = advance(rule, before, evaluate(rule, figures, this.#history, nowMs), nowMs);
      alerts.push(...after.alerts);
      changes.push(...after.changes.map((change): [AlertRule, Change] => [rule, change]));
    }
    const next = { alerts, outbox: this.#state.outbox, evaluatedAtMs: nowMs, by: this.#options.process };
    return { next, changes };
  }

  /** Sends beside the looking: a slow receiver must not keep the rules from being looked at. */
  #send(): void {
    const { deliver } = this.#options;
    if (deliver === null || this.#delivering !== undefined || this.#state.outbox.length === 0) return;
    const given = this.#state.outbox;
    this.#delivering = deliverDue(given, deliver, this.#now, (notice, error) =>
      this.#options.onUndelivered?.(notice, error, false),
    )
      .then((result) => this.#afterDelivery(given, result))
      .finally(() => (this.#delivering = undefined));
  }

  async #afterDelivery(given: readonly Notice[], { outbox, delivered, failed, givenUp }: Delivery): Promise<void> {
    this.#delivered += delivered;
    this.#undelivered += failed;
    for (const notice of givenUp) this.#options.onUndelivered?.(notice, new Error('given up after a day'), true);
    const added = this.#state.outbox.filter(({ id }) => !given.some((notice) => notice.id === id));
    this.#state = { ...this.#state, outbox: [...outbox, ...added] };
    await this.#options.store.save(this.#options.process, this.#state).catch(() => undefined);
  }

  /** What the others cannot read for themselves, as far as a rule asks for it. */
  #ofThisProcess(figures: readonly Figure[]): Figure[] {
    const own = new Set(
      this.#options.metrics.definitions.filter(({ scope }) => scope === 'process').map(({ name }) => name),
    );
    return figures.filter(({ name, value }) => own.has(name) && this.#ownNames.has(name) && Number.isFinite(value));
  }

  /** The alerts as figures, for Prometheus and the dashboards. */
  source(): MetricSource {
    return {
      name: 'alerts',
      metrics: ALERT_METRICS,
      read: () => {
        const severityOf = new Map(this.#options.rules.map(({ id, severity }) => [id, severity]));
        const told = (result: string, value: number) => ({
          name: 'waxwing_alert_notices_total',
          labels: { result },
          value,
        });
        return [
          ...this.#state.alerts
            .filter(({ state }) => state !== 'resolved')
            .map(({ rule, state, instance }) => ({
              name: 'waxwing_alerts',
              labels: { alert: rule, severity: severityOf.get(rule) ?? 'warning', state, instance_of: instance },
              value: 1,
            })),
          told('delivered', this.#delivered),
          told('failed', this.#undelivered),
          { name: 'waxwing_alert_notices_waiting', value: this.#state.outbox.length },
        ];
      },
    };
  }
}
