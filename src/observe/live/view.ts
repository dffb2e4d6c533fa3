import type { SendQueue } from '../../engine/contract.ts';
import type { AttemptTimings, WaitingMessage } from '../../record/index.ts';
import type { Alert } from '../alerts/state.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { LiveWorkers } from '../sources/live-workers.ts';
import type { QueueState } from '../sources/queue-state.ts';
import { kept } from './kept.ts';
import { Rates } from './rates.ts';
import { alertsOf, backlogOf, fromFigures, sendersOf, type SenderNote } from './snapshot.ts';
import { byLoad, tenantsOf } from './tenants.ts';
import type { LiveHistory, LiveSender, LiveSnapshot, LiveTenant, LiveUpdate, TopTenant, Verdict } from './types.ts';
import { judge } from './verdict.ts';

export interface LiveViewOptions {
  readonly queue: Pick<SendQueue, 'counters' | 'circuits'>;
  /** All shards as they are now. */
  readonly readStates: () => Promise<readonly QueueState[]>;
  readonly totals: { read(): Promise<ReadonlyMap<string, number>> };
  readonly metrics: Pick<Metrics, 'snapshot'>;
  readonly alerts: () => readonly Alert[];
  readonly record: {
    senders(): Promise<readonly SenderNote[]>;
    qualities(): Promise<readonly { readonly sender: string; readonly quality: string }[]>;
    oldestWaiting(): Promise<WaitingMessage | null>;
    timings(): Promise<AttemptTimings | null>;
    /** The longest waiting message of each of these tenants. */
    oldestOf(tenants: readonly string[]): Promise<readonly WaitingMessage[]>;
  };
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}

/** Between two looks while somebody watches; the page is then never a second behind. */
const WATCHED_MS = 500;
/** Between two looks at the counters while nobody does: the chart has its past when somebody comes. */
const UNWATCHED_MS = 1000;
/** A look that takes long is followed by a pause of so many times its length, */
const PAUSE_SHARE = 4;
/** as far as looks follow each other this fast; then of its own length. */
const PERIOD_MAX_MS = 850;
/** Who loads the page will watch a moment later. */
const EXPECTED_MS = 5000;
const TOP_TENANTS = 12;
/** Senders of the overview; the page of senders has all. */
const TOP_SENDERS = 50;

/**
 * The live view of one process: looked at once for all who watch, and only the counters while nobody does. Never
 * rejects: what cannot be read is named in `unknown`.
 */
export class LiveView {
  readonly #options: LiveViewOptions;
  readonly #now: () => number;
  readonly #rates = new Rates();
  readonly #workers = new LiveWorkers();
  readonly #watchers = new Set<(update: LiveUpdate) => void>();
  readonly #notes;
  readonly #qualities;
  readonly #oldest;
  readonly #timings;
  readonly #lags;
  readonly #told;
  #top: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #expectedUntilMs = 0;
  /** Somebody came during a look that was not for them. */
  #isAwaited = false;
  #looking: Promise<void> | undefined;
  #last: LiveSnapshot | null = null;
  #tenants: ReadonlyMap<string, LiveTenant> = new Map();
  #senders: readonly LiveSender[] = [];
  #verdict: Verdict | null = null;

  constructor(options: LiveViewOptions) {
    const { record } = options;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const byId = async () => new Map((await record.senders()).map((note) => [note.id, note]));
    this.#notes = kept(new Map<string, SenderNote>(), byId, { everyMs: 10_000 });
    const qualities = async () => new Map((await record.qualities()).map((one) => [one.sender, one.quality]));
    this.#qualities = kept(new Map<string, string>(), qualities, { everyMs: 30_000 });
    this.#oldest = kept<WaitingMessage | null>(null, () => record.oldestWaiting(), { everyMs: WATCHED_MS });
    const lags = async () => {
      const oldest = this.#top.length === 0 ? [] : await record.oldestOf(this.#top);
      return new Map(oldest.map(({ tenant, createdAtMs }) => [tenant, createdAtMs]));
    };
    this.#lags = kept(new Map<string, number>(), lags, { everyMs: 1000 });
    const told = async () => fromFigures((await options.metrics.snapshot()).figures);
    this.#told = kept<ReturnType<typeof fromFigures> | null>(null, told, { everyMs: WATCHED_MS, pauseShare: 4 });
    this.#timings = kept<AttemptTimings | null>(null, () => record.timings(), { everyMs: 2000 });
  }

  start(): void {
    this.#schedule(0);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#watchers.clear();
  }

  get history(): LiveHistory {
    return { points: [...this.#rates.points] };
  }

  /** Watchers now. */
  get watching(): number {
    return this.#watchers.size;
  }

  /** Calls back at once with what is known and fresh, then after every look. @returns ends it */
  watch(onUpdate: (update: LiveUpdate) => void): () => void {
    this.#watchers.add(onUpdate);
    if (this.#isFresh && this.#last !== null) onUpdate({ snapshot: this.#last, points: [] });
    else this.#lookSoon();
    return () => this.#watchers.delete(onUpdate);
  }

  /** Somebody has just asked for the page: looks while the browser still reads it. */
  expect(): void {
    this.#expectedUntilMs = this.#now() + EXPECTED_MS;
    if (!this.#isFresh) this.#lookSoon();
  }

  get #isWatched(): boolean {
    return this.#watchers.size > 0 || this.#now() < this.#expectedUntilMs;
  }

  get #isFresh(): boolean {
    return this.#last !== null && this.#now() - this.#last.atMs <= 2 * WATCHED_MS;
  }

  #lookSoon(): void {
    this.#isAwaited = true;
    if (this.#looking === undefined) this.#schedule(0);
  }

  /** Tenants with messages, at most a moment old. */
  async tenants(): Promise<ReadonlyMap<string, LiveTenant>> {
    if (!this.#isFresh) {
      this.#tenants = tenantsOf(await this.#options.readStates());
    }
    return this.#tenants;
  }

  /** Every sender that the queue knows, at most a moment old; those in trouble first. */
  async senders(): Promise<readonly LiveSender[]> {
    if (!this.#isFresh) {
      const [states, circuits] = await Promise.all([this.#options.readStates(), this.#options.queue.circuits()]);
      this.#senders = this.#sendersOf(states, circuits);
    }
    return this.#senders;
  }

  #sendersOf(states: readonly QueueState[], circuits: Awaited<ReturnType<SendQueue['circuits']>>): LiveSender[] {
    const known = { circuits: circuits.open, qualities: this.#qualities.get(), rates: this.#rates };
    return sendersOf(states, { ...known, notes: this.#notes.get() });
  }

  #topTenants(): TopTenant[] {
    const top = [...this.#tenants.values()].sort(byLoad).slice(0, TOP_TENANTS);
    this.#top = top.filter(({ waiting }) => waiting > 0).map(({ id }) => id);
    const lags = this.#lags.get();
    return top.map((tenant) => ({
      ...tenant,
      oldestAtMs: tenant.waiting === 0 ? null : (lags.get(tenant.id) ?? null),
    }));
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const startedAtMs = performance.now();
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined;
        const tookMs = performance.now() - startedAtMs;
        const everyMs = this.#isWatched ? WATCHED_MS : UNWATCHED_MS;
        const pauseMs = Math.max(tookMs, Math.min(PAUSE_SHARE * tookMs, PERIOD_MAX_MS - tookMs));
        this.#schedule(this.#isAwaited ? 0 : Math.max(everyMs - tookMs, pauseMs));
      });
    }, delayMs).unref();
  }

  async #look(): Promise<void> {
    try {
      if (!this.#isWatched) {
        const [counters, totals] = await Promise.all([this.#options.queue.counters(), this.#options.totals.read()]);
        this.#count(counters, totals);
        return;
      }
      const told = this.#told.get() ?? NOTHING_TOLD;
      const [states, totals, circuits] = await Promise.all([
        this.#options.readStates(),
        this.#options.totals.read(),
        this.#options.queue.circuits(),
      ]);
      const sum = (name: string) => states.reduce((total, { counters }) => total + Number(counters[name] ?? 0), 0);
      const counters = { accepted: sum('accepted'), sent: sum('sent'), failed: sum('failed') };
      const points = this.#count(counters, totals);
      this.#tenants = tenantsOf(states);
      const backlog = backlogOf(states);
      const senders = this.#sendersOf(states, circuits);
      this.#senders = senders;
      const workers = states.map((state) => this.#workers.observe(state.shard, state.beats).length);
      const atMs = this.#now();
      const timings = this.#timings.get();
      // A message that waits is in the record a moment after the queue: none in the queue is none at all.
      const oldest = this.#oldest.get();
      this.#last = {
        atMs,
        verdict: this.#judge(states, backlog, senders, Math.max(0, ...workers), atMs),
        totals: { ...counters, cancelled: sum('cancelled'), expired: sum('expired') },
        perSecond: this.#rates.perSecond(),
        backlog,
        oldest: sum('queued') === 0 ? null : oldest,
        latency:
          timings === null
            ? null
            : { attempts: timings.attempts, waiting: timings.acceptToProviderMs, call: timings.processingMs },
        workers: Math.max(0, ...workers),
        workDue: told.workDue,
        senders: senders.slice(0, TOP_SENDERS),
        sendersTotal: senders.length,
        tenants: this.#topTenants(),
        tenantsActive: this.#tenants.size,
        failures: told.failures,
        queues: told.queues,
        caches: told.caches,
        alerts: alertsOf(this.#options.alerts()),
        unknown: [...new Set([...told.down, ...(this.#oldest.isKnown ? [] : ['record'])])],
      };
      this.#tell({ snapshot: this.#last, points });
    } catch {
      this.#tellBlind();
    }
  }

  #count(
    { accepted, sent, failed }: { readonly accepted: number; readonly sent: number; readonly failed: number },
    totals: ReadonlyMap<string, number>,
  ) {
    const senders = new Map<string, number>();
    for (const [field, count] of totals) if (field.startsWith('sent:')) senders.set(field.slice(5), count);
    const delivered = totals.get('delivered') ?? 0;
    const counts = { accepted, sent, delivered, failed: failed + (totals.get('undelivered') ?? 0) };
    return this.#rates.add(this.#now(), counts, senders);
  }

  #judge(
    states: readonly QueueState[],
    backlog: LiveSnapshot['backlog'],
    senders: LiveSnapshot['senders'],
    workers: number,
    atMs: number,
  ): Verdict {
    const input = {
      isQueueKnown: true,
      isAllPaused: states.some(({ isPaused }) => isPaused),
      workers,
      ...backlog,
      sentPerSecond: this.#rates.perSecond().sent,
      pausedSenders: senders.filter(({ state }) => state === 'paused').map(({ id }) => id),
      openCircuits: senders.filter(({ state }) => state === 'circuit').map(({ id }) => id),
      lastSentAtMs: this.#rates.lastSentAtMs,
    };
    return this.#since(judge(input, atMs), atMs);
  }

  /** Keeps the time at which the answer became what it is; the words may change with the figures. */
  #since(judged: Omit<Verdict, 'sinceMs'>, atMs: number): Verdict {
    const isSame = this.#verdict?.state === judged.state;
    const sinceMs = isSame ? (this.#verdict?.sinceMs ?? atMs) : atMs;
    const isStill = judged.state === 'held' || judged.state === 'stuck';
    // Nobody may have watched when it stopped; the counters were read all the time.
    const stillSinceMs = isStill ? this.#rates.lastSentAtMs : null;
    this.#verdict = {
      ...judged,
      sinceMs: stillSinceMs === null ? sinceMs : isSame ? Math.max(sinceMs, stillSinceMs) : stillSinceMs,
    };
    return this.#verdict;
  }

  #tellBlind(): void {
    if (this.#last === null) this.#last = NOTHING;
    const atMs = this.#now();
    const judged = judge({ ...BLIND, ...this.#last.backlog }, atMs);
    this.#last = { ...this.#last, atMs, verdict: this.#since(judged, atMs), unknown: ['queue'] };
    this.#tell({ snapshot: this.#last, points: [] });
  }

  #tell(update: LiveUpdate): void {
    this.#isAwaited = false;
    for (const watcher of this.#watchers) watcher(update);
  }
}

const BLIND = {
  isQueueKnown: false,
  isAllPaused: false,
  workers: 0,
  sentPerSecond: 0,
  pausedSenders: [],
  openCircuits: [],
  lastSentAtMs: null,
};

/** Before the parts that are asked in the background have answered for the first time. */
const NOTHING_TOLD: ReturnType<typeof fromFigures> = { failures: null, queues: [], caches: [], workDue: 0, down: [] };

const NOTHING: LiveSnapshot = {
  atMs: 0,
  verdict: { state: 'blind', sentence: '', reason: null, sinceMs: 0 },
  totals: { accepted: 0, sent: 0, failed: 0, cancelled: 0, expired: 0 },
  perSecond: { accepted: 0, sent: 0, delivered: 0, failed: 0 },
  backlog: { waiting: 0, inFlight: 0, holds: {} },
  oldest: null,
  latency: null,
  workers: 0,
  workDue: 0,
  senders: [],
  sendersTotal: 0,
  tenants: [],
  tenantsActive: 0,
  failures: null,
  queues: [],
  caches: [],
  alerts: [],
  unknown: [],
};
