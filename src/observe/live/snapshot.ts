import type { OpenCircuit } from '../../engine/contract.ts';
import type { Figure } from '../../model/figures.ts';
import { ALERT_RULES } from '../alerts/rules.ts';
import type { Alert } from '../alerts/state.ts';
import { blockedOf, type QueueState, type SenderState } from '../sources/queue-state.ts';
import type { Rates } from './rates.ts';
import type { LiveAlert, LiveSender, LiveSnapshot } from './types.ts';

/** What a sender is beside what the engine knows of it. */
export interface SenderNote {
  readonly id: string;
  readonly tenant: string | null;
  readonly provider: string;
}

export function backlogOf(states: readonly QueueState[]): LiveSnapshot['backlog'] {
  const sum = (name: string) => states.reduce((total, { counters }) => total + Number(counters[name] ?? 0), 0);
  const holds: Record<string, number> = {};
  for (const state of states) {
    for (const [hold, count] of Object.entries(blockedOf(state).holds)) holds[hold] = (holds[hold] ?? 0) + count;
  }
  holds['unknown'] = sum('unknown');
  holds['held'] = sum('held');
  return {
    waiting: sum('queued') + sum('scheduled') + sum('deferred') + sum('unknown') + sum('held'),
    inFlight: sum('inFlight'),
    holds: Object.fromEntries(Object.entries(holds).filter(([, count]) => count > 0)),
  };
}

/** All senders, those in trouble first, then the busiest. */
export function sendersOf(
  states: readonly QueueState[],
  known: {
    readonly notes: ReadonlyMap<string, SenderNote>;
    readonly circuits: readonly OpenCircuit[];
    readonly qualities: ReadonlyMap<string, string>;
    readonly rates: Rates;
  },
): LiveSender[] {
  const untilMs = new Map(known.circuits.map((circuit) => [circuit.sender, circuit.untilMs]));
  const all = states.flatMap(({ senders }) => senders).filter(({ concurrency }) => concurrency > 0);
  return all
    .map((sender): LiveSender => {
      const { id, tenants } = sender;
      const sentPerSecond = known.rates.senderPerSecond(id);
      return {
        id,
        tenant: known.notes.get(id)?.tenant ?? null,
        provider: known.notes.get(id)?.provider ?? null,
        state: stateOf(sender, sentPerSecond),
        pausedReason: sender.pausedReason,
        circuitUntilMs: sender.isBroken ? (untilMs.get(id) ?? null) : null,
        sentPerSecond,
        allowedPerSecond: sender.ratePerSecond,
        ratePerSecond: sender.fullRatePerSecond,
        inFlight: sender.inFlight,
        concurrency: sender.concurrency,
        waiting: tenants.reduce((total, { backlog, inFlight }) => total + Math.max(0, backlog - inFlight), 0),
        parked: tenants.reduce((total, { parked }) => total + parked, 0),
        tenants: tenants.filter(({ backlog, parked }) => backlog + parked > 0).length,
        quality: known.qualities.get(id) ?? null,
      };
    })
    .sort((a, b) => troubleOf(b) - troubleOf(a) || b.waiting - a.waiting || b.sentPerSecond - a.sentPerSecond);
}

function stateOf(sender: SenderState, sentPerSecond: number): LiveSender['state'] {
  if (sender.isPaused) return 'paused';
  if (sender.isBroken) return 'circuit';
  if (sender.ratePerSecond < sender.fullRatePerSecond) return 'slowed';
  return sentPerSecond > 0 || sender.inFlight > 0 ? 'sending' : 'idle';
}

/** Those that a person should see first: a bound on the list must never hide them. */
const troubleOf = ({ state }: LiveSender) => (state === 'paused' || state === 'circuit' ? 1 : 0);

/** What the figures of all parts tell beside the engine's own. */
export function fromFigures(figures: readonly Figure[]): Pick<LiveSnapshot, 'failures' | 'queues' | 'caches'> & {
  readonly workDue: number;
  readonly down: readonly string[];
} {
  const named = (name: string) => figures.filter((figure) => figure.name === name);
  const total = (name: string) => named(name).reduce((sum, { value }) => sum + value, 0);
  const of = (name: string, labels: Readonly<Record<string, string>>) =>
    named(name).find((figure) => Object.entries(labels).every(([key, value]) => figure.labels?.[key] === value))
      ?.value ?? 0;
  const valuesOf = (name: string, label: string) => [
    ...new Set(named(name).flatMap(({ labels }) => labels?.[label] ?? [])),
  ];
  return {
    workDue: total('waxwing_work_due'),
    failures: {
      deadLetters: total('waxwing_dead_letters'),
      retrying: of('waxwing_delivery_failures', { status: 'PENDING' }),
    },
    queues: valuesOf('waxwing_jobs', 'queue').map((queue) => ({
      queue,
      waiting: of('waxwing_jobs', { queue, state: 'waiting' }),
      active: of('waxwing_jobs', { queue, state: 'active' }),
      delayed: of('waxwing_jobs', { queue, state: 'delayed' }),
      failed: of('waxwing_jobs', { queue, state: 'failed' }),
      isPaused: of('waxwing_jobs_paused', { queue }) === 1,
    })),
    caches: valuesOf('waxwing_cache_hits_total', 'cache').map((cache) => {
      const hits = of('waxwing_cache_hits_total', { cache });
      const reads = hits + of('waxwing_cache_misses_total', { cache });
      const isSpike = of('waxwing_cache_spike', { cache }) === 1;
      return { cache, reads, hitShare: reads === 0 ? null : hits / reads, isSpike };
    }),
    down: [
      ...named('waxwing_source_up').flatMap(({ value, labels }) => (value === 0 ? (labels?.['source'] ?? []) : [])),
      ...named('waxwing_postgres_up').flatMap(({ value }) => (value === 0 ? ['record'] : [])),
    ],
  };
}

export function alertsOf(alerts: readonly Alert[]): LiveAlert[] {
  const rules = new Map(ALERT_RULES.map((rule) => [rule.id, rule]));
  return alerts.flatMap((alert) => {
    const rule = rules.get(alert.rule);
    if (rule === undefined || alert.state !== 'firing') return [];
    const { severity, sentence, advice } = rule;
    const instance = alert.instance === '' ? null : alert.instance;
    return [{ alert: rule.id, severity, sentence, advice, instance, sinceMs: alert.sinceMs }];
  });
}
