import { ALL_SALONS, type CacheService } from '../cache/index.ts';
import { AppError } from '../errors/app-error.ts';
import { MESSAGE_STATUSES, type MessageStatus } from '../model/message.ts';
import type { Stats, StatsCounts } from '../record/index.ts';
import type { StatsReport } from './report.ts';
import { responseTimes } from './response-times.ts';

export interface StatsQuery {
  /** Null = all tenants together. */
  readonly tenant: string | null;
  /** Whose dashboard it is: names the cached answer, changes no figure. Default `default`. */
  readonly user?: string | undefined;
  /** Epoch ms; default 30 days before `toMs`. Rounded down to the half hour. */
  readonly fromMs?: number | undefined;
  /** Epoch ms, exclusive; default now. Rounded up to the half hour. */
  readonly toMs?: number | undefined;
  /** IANA name, of the days and hours; default UTC. */
  readonly timeZone?: string | undefined;
}

export interface Statistics {
  /**
   * The figures of a dashboard, at most DASHBOARD_CACHE_TTL_SECONDS old, and evicted when they change.
   * @throws AppError `REQUEST_INVALID` for a range or a time zone that is none, `RECORD_UNAVAILABLE` (retryable)
   */
  get(query: StatsQuery): Promise<StatsReport>;
}

/** Longest range, days. */
export const STATS_DAYS_MAX = 366;
const DAYS_DEFAULT = 30;
const DAY_MS = 86_400_000;
const SLOT_MS = 30 * 60_000;

export function createStats(options: {
  readonly store: Stats;
  readonly cache: Pick<CacheService, 'named'>;
  /** Wall clock, epoch ms. */
  readonly now?: () => number;
}): Statistics {
  const { store, cache } = options;
  const now = options.now ?? Date.now;

  async function read(tenant: string | null, fromMs: number, toMs: number, timeZone: string): Promise<StatsReport> {
    const counts = await store.counts({ tenant, fromMs, toMs, timeZone });
    const range = { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() };
    return { tenant, ...range, timeZone, generatedAt: new Date(now()).toISOString(), ...figuresOf(counts) };
  }

  return {
    async get({ tenant, user = 'default', fromMs, toMs, timeZone = 'UTC' }) {
      assertTimeZone(timeZone);
      const end = Math.ceil((toMs ?? now()) / SLOT_MS) * SLOT_MS;
      const start = Math.floor((fromMs ?? end - DAYS_DEFAULT * DAY_MS) / SLOT_MS) * SLOT_MS;
      assertRange(start, end);
      const load = () => read(tenant, start, end, timeZone);
      const salon = tenant ?? ALL_SALONS;
      const isUsual = fromMs === undefined && toMs === undefined && timeZone === 'UTC';
      const found = isUsual
        ? await cache.named.dashboard.getOrLoad([user, salon], load)
        : await cache.named.dashboardRange.getOrLoad(
            [user, salon, rangeKey(fromMs, start), rangeKey(toMs, end), timeZone],
            load,
          );
      return found as StatsReport;
    },
  };
}

/** An end that was left out moves with the time: its key must not. */
function rangeKey(given: number | undefined, rounded: number): string {
  return given === undefined ? '-' : String(rounded / 1000);
}

function figuresOf(counts: StatsCounts): Omit<StatsReport, 'tenant' | 'from' | 'to' | 'timeZone' | 'generatedAt'> {
  const byStatus = Object.fromEntries(MESSAGE_STATUSES.map((status) => [status, 0])) as Record<MessageStatus, number>;
  let taken = 0;
  let sendMs = 0;
  for (const total of counts.totals) {
    byStatus[total.status] += total.messages;
    if (total.isSent) taken += total.messages;
    sendMs += total.sendMs;
  }
  const arrived = byStatus.delivered + byStatus.read;
  return {
    messages: {
      total: sum(Object.values(byStatus)),
      byStatus,
      byDay: daysOf(counts),
      received: sum(counts.receivedByDay.map(({ messages }) => messages)),
    },
    deliveryRate: rate(arrived, taken),
    readRate: rate(byStatus.read, arrived),
    averageSendMs: taken === 0 ? null : Math.round(sendMs / taken),
    responseTime: responseTimes(counts.responses),
    failures: counts.failures.map((failure) => ({ ...failure, share: rate(failure.messages, byStatus.failed) ?? 0 })),
    bookings: counts.bookings,
    busiestHours: hoursOf(counts),
  };
}

function daysOf({ days, receivedByDay }: StatsCounts): StatsReport['messages']['byDay'] {
  const found = new Map<
    string,
    { day: string; total: number; received: number; byStatus: Partial<Record<MessageStatus, number>> }
  >();
  const of = (day: string) => {
    const known = found.get(day) ?? { day, total: 0, received: 0, byStatus: {} };
    found.set(day, known);
    return known;
  };
  for (const { day, status, messages } of days) {
    const entry = of(day);
    entry.byStatus[status] = messages;
    entry.total += messages;
  }
  for (const { day, messages } of receivedByDay) of(day).received = messages;
  return [...found.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
}

function hoursOf({ sentByHour, receivedByHour }: StatsCounts): StatsReport['busiestHours'] {
  return Array.from({ length: 24 }, (_, hour) => {
    const of = (hours: StatsCounts['sentByHour']) => hours.find((entry) => entry.hour === hour)?.messages ?? 0;
    const [sent, received] = [of(sentByHour), of(receivedByHour)];
    return { hour, sent, received, total: sent + received };
  })
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total || a.hour - b.hour);
}

function assertRange(start: number, end: number): void {
  if (start >= end) throw new AppError('REQUEST_INVALID', { field: 'from', detail: 'from must be before to.' });
  if (end - start > STATS_DAYS_MAX * DAY_MS) {
    const detail = `The range may have at most ${STATS_DAYS_MAX} days: ask for shorter ones.`;
    throw new AppError('REQUEST_INVALID', { field: 'from', detail });
  }
}

function assertTimeZone(name: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
  } catch (error) {
    const detail = 'Give the name of a time zone, such as Asia/Riyadh.';
    throw new AppError('REQUEST_INVALID', { field: 'timeZone', detail, cause: error });
  }
}

function rate(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 10_000;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
