import type { Figure } from '../model/figures.ts';
import { ALERT_RULES } from './alerts/rules.ts';
import type { Alert } from './alerts/state.ts';
import { fullDisk } from './sources/queue-disk.ts';

/** What a person or a monitor wants to know at one glance. */
export interface HealthReport {
  readonly status: 'healthy' | 'degraded' | 'unhealthy';
  /** Why it is not healthy, in sentences; empty when it is. */
  readonly reasons: readonly string[];
  readonly database: { readonly status: 'up' | 'down' | 'unknown'; readonly recorderLagSeconds: number | null };
  readonly queue: { readonly status: 'up' | 'down' | 'unknown'; readonly memoryShare: number | null };
  readonly breakers: readonly { readonly name: string; readonly open: boolean }[];
  /** Failed messages of those that ended: since the queue exists. */
  readonly errorRate: { readonly failed: number; readonly completed: number; readonly share: number };
  readonly caches: readonly { readonly name: string; readonly hitRate: number | null; readonly reads: number }[];
  /** Names of alerts that are firing. */
  readonly alerts: readonly string[];
}

/** One view of the figures by name and labels. */
export class FigureTable {
  readonly #figures: readonly Figure[];

  constructor(figures: readonly Figure[]) {
    this.#figures = figures;
  }

  all(name: string): readonly Figure[] {
    return this.#figures.filter((figure) => figure.name === name && Number.isFinite(figure.value));
  }

  /** Null when it is not known. */
  one(name: string, labels: Readonly<Record<string, string>> = {}): number | null {
    const found = this.all(name).find((figure) =>
      Object.entries(labels).every(([label, value]) => figure.labels?.[label] === value),
    );
    return found?.value ?? null;
  }

  /** Null when none is known. */
  sum(name: string): number | null {
    const values = this.all(name);
    return values.length === 0 ? null : values.reduce((total, { value }) => total + value, 0);
  }

  max(name: string): number | null {
    const values = this.all(name).map(({ value }) => value);
    return values.length === 0 ? null : Math.max(...values);
  }
}

export function healthReport(figures: readonly Figure[], alerts: readonly Alert[]): HealthReport {
  const table = new FigureTable(figures);
  const upOf = (value: number | null) => (value === null ? 'unknown' : value > 0 ? 'up' : 'down');
  const database = upOf(table.one('waxwing_postgres_up'));
  const queue = upOf(table.one('waxwing_redis_up', { redis: 'queue' }));
  const used = table.one('waxwing_redis_memory_used_bytes', { redis: 'queue' });
  const max = table.one('waxwing_redis_memory_max_bytes', { redis: 'queue' });
  const sent = table.one('waxwing_messages_total', { state: 'sent' }) ?? 0;
  const unsent = table.one('waxwing_messages_total', { state: 'failed' }) ?? 0;
  // Statuses report most failures, of messages that had been sent.
  const failed = unsent + (table.one('waxwing_messages_total', { state: 'undelivered' }) ?? 0);
  const breakers = table
    .all('waxwing_breaker_open')
    .map(({ labels, value }) => ({ name: labels?.['breaker'] ?? '', open: value > 0 }));
  const firing = alerts.filter(({ state }) => state === 'firing');
  const reasons = [
    ...fullDiskOf(table),
    ...(queue === 'up' ? [] : ['The queue Redis does not answer: nothing is accepted or sent.']),
    ...(database === 'up' ? [] : ['PostgreSQL does not answer: messages are sent, but not recorded.']),
    ...breakers.filter(({ open }) => open).map(({ name }) => `The circuit breaker ${name} is open.`),
    ...firing.map(alertInWords),
  ];
  return {
    status: queue !== 'up' ? 'unhealthy' : reasons.length > 0 ? 'degraded' : 'healthy',
    reasons,
    database: { status: database, recorderLagSeconds: table.max('waxwing_recorder_lag_seconds') },
    queue: { status: queue, memoryShare: used === null || max === null || max === 0 ? null : used / max },
    breakers,
    errorRate: { failed, completed: sent, share: sent + unsent === 0 ? 0 : failed / (sent + unsent) },
    caches: cachesOf(table),
    alerts: firing.map(({ rule }) => rule),
  };
}

/** The rule's sentence, and in brackets which alert that is and of what. */
function alertInWords({ rule, instance }: Alert): string {
  const sentence = ALERT_RULES.find(({ id }) => id === rule)?.sentence ?? 'An alert fires.';
  return `${sentence} (${rule}${instance === '' ? '' : `, ${instance}`})`;
}

function fullDiskOf(table: FigureTable): string[] {
  const used = table.one('waxwing_queue_disk_used_bytes');
  const size = table.one('waxwing_queue_disk_size_bytes');
  if (used === null || size === null) return [];
  const sentence = fullDisk({ freeBytes: size - used, sizeBytes: size });
  return sentence === undefined ? [] : [sentence];
}

export function cachesOf(table: FigureTable): HealthReport['caches'] {
  return table.all('waxwing_cache_hits_total').map(({ labels, value: hits }) => {
    const name = labels?.['cache'] ?? '';
    const reads = hits + (table.one('waxwing_cache_misses_total', { cache: name }) ?? 0);
    return { name, hitRate: reads === 0 ? null : hits / reads, reads };
  });
}
