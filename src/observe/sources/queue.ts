import { blockedOf, type QueueState, readQueueStates } from './queue-state.ts';
import type { RedisClient } from '../../engine/connection.ts';
import type { Figure, MetricDefinition, MetricSource } from '../../model/figures.ts';
import { BoundedNames } from '../metrics/names.ts';
import { LiveWorkers } from './live-workers.ts';
import type { SenderDirectory } from './sender-directory.ts';

const shared = { type: 'gauge', scope: 'shared' } as const;

export const QUEUE_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_messages_total',
    help: 'How often messages were accepted, and ended (sent, failed, cancelled, expired); undelivered: sent, and a status told that it failed for good. Never shrinks.',
    type: 'counter',
    labels: ['state'],
    scope: 'shared',
  },
  {
    ...shared,
    name: 'waxwing_backlog',
    help: 'Messages that are accepted and not ended, by state.',
    labels: ['state'],
  },
  {
    ...shared,
    name: 'waxwing_backlog_held',
    help: 'Messages that wait, by what holds them; ready = nothing does, a worker has to take them. Conversations that wait for a pair or a retry are counted from the timers.',
    labels: ['hold'],
  },
  {
    ...shared,
    name: 'waxwing_work_due',
    help: 'Messages in flight, and those that could be in flight now if workers had room: what to scale workers on.',
  },
  {
    ...shared,
    name: 'waxwing_stream_entries',
    help: 'Hand-overs in the stream, delivered to a worker or not.',
    labels: ['shard'],
  },
  {
    ...shared,
    name: 'waxwing_stream_waiting',
    help: 'Hand-overs that wait for their worker: not begun, or without an end for 15 s.',
    labels: ['shard'],
  },
  { ...shared, name: 'waxwing_stream_pending', help: 'Hand-overs that a worker holds.', labels: ['shard'] },
  { ...shared, name: 'waxwing_workers', help: 'Workers whose heart beats.', labels: ['shard'] },
  {
    ...shared,
    name: 'waxwing_worker_slots_used',
    help: 'Messages in work by worker.',
    labels: ['worker'],
  },
  {
    ...shared,
    name: 'waxwing_timer_lag_seconds',
    help: 'By how much the earliest retry, pair or rate timer is overdue: more than a second means that nobody serves them.',
    labels: ['shard'],
  },
  {
    ...shared,
    name: 'waxwing_events_kept',
    help: 'Entries of the event log that are not recorded yet.',
    labels: ['shard'],
  },
  {
    ...shared,
    name: 'waxwing_recorder_lag_seconds',
    help: 'Age of the oldest event that is not recorded yet.',
    labels: ['shard'],
  },
  { ...shared, name: 'waxwing_sender_in_flight', help: 'Attempts in flight of a sender.', labels: ['sender'] },
  {
    ...shared,
    name: 'waxwing_sender_in_flight_max',
    help: 'Attempts that a sender may have in flight.',
    labels: ['sender'],
  },
  { ...shared, name: 'waxwing_sender_backlog', help: "Messages in a sender's conversations.", labels: ['sender'] },
  {
    ...shared,
    name: 'waxwing_sender_paused',
    help: '1 while a sender is paused by a person or by an error.',
    labels: ['sender'],
  },
  {
    ...shared,
    name: 'waxwing_sender_rate_per_second',
    help: 'Messages per second that a sender may start now: less than configured while the provider slows it down; 0 = no limit.',
    labels: ['sender'],
  },
  { ...shared, name: 'waxwing_sender_tenants', help: 'Tenants with messages on a sender.', labels: ['sender'] },
];

/** Senders with figures of their own; bounds the work. */
const SENDERS_MAX = 200;

/** The send engine as Redis has it: the same from every process. */
export function queueSource(options: {
  readonly client: RedisClient;
  readonly shards: number;
  /** Every sender and its shard; keys of the queue are never searched for. */
  readonly senders: SenderDirectory;
  /** Messages that were sent and of which a status reported that they failed for good; only grows. */
  readonly undelivered: () => Promise<number>;
}): MetricSource {
  const live = new LiveWorkers();
  const senderNames = new BoundedNames(SENDERS_MAX);
  return {
    name: 'queue',
    metrics: QUEUE_METRICS,
    async read() {
      const [states, undelivered] = await Promise.all([
        options.senders().then((senders) => readQueueStates(options.client, options.shards, senders)),
        options.undelivered(),
      ]);
      return [
        ...totals(states, undelivered),
        ...states.flatMap((state) => ofShard(state, live)),
        ...ofSenders(states, senderNames),
      ];
    },
  };
}

const ENDS = ['accepted', 'sent', 'failed', 'cancelled', 'expired'];
const STATES = {
  queued: 'queued',
  scheduled: 'scheduled',
  deferred: 'deferred',
  inFlight: 'sending',
  unknown: 'unknown',
  held: 'held',
};

function totals(states: readonly QueueState[], undelivered: number): Figure[] {
  const sum = (name: string) => states.reduce((total, { counters }) => total + Number(counters[name] ?? 0), 0);
  const held = new Map<string, number>();
  let due = sum('inFlight');
  for (const state of states) {
    const { holds, ready } = blockedOf(state);
    due += ready;
    for (const [hold, count] of Object.entries(holds)) held.set(hold, (held.get(hold) ?? 0) + count);
  }
  return [
    // A message that came back is in its end no more; the counter has it still.
    ...ENDS.map((state) => ({
      name: 'waxwing_messages_total',
      labels: { state },
      value: sum(state) + sum(`returned:${state}`),
    })),
    { name: 'waxwing_messages_total', labels: { state: 'undelivered' }, value: undelivered },
    ...Object.entries(STATES).map(([from, state]) => ({
      name: 'waxwing_backlog',
      labels: { state },
      value: sum(from),
    })),
    ...[...held].map(([hold, value]) => ({ name: 'waxwing_backlog_held', labels: { hold }, value })),
    { name: 'waxwing_work_due', value: due },
  ];
}

function ofShard(state: QueueState, live: LiveWorkers): Figure[] {
  const labels = { shard: String(state.shard) };
  const workers = live.observe(state.shard, state.beats);
  const of = (name: string, value: number) => ({ name, labels, value });
  return [
    of('waxwing_stream_entries', state.streamEntries),
    of('waxwing_stream_waiting', state.streamWaiting),
    of('waxwing_stream_pending', state.streamPending),
    of('waxwing_workers', workers.length),
    of('waxwing_timer_lag_seconds', state.timerLagMs / 1000),
    of('waxwing_events_kept', state.eventsKept),
    of('waxwing_recorder_lag_seconds', state.recorderLagMs / 1000),
    ...workers.map((worker) => ({
      name: 'waxwing_worker_slots_used',
      labels: { worker },
      value: Number(state.slots[worker] ?? 0),
    })),
  ];
}

function ofSenders(states: readonly QueueState[], names: BoundedNames): Figure[] {
  const sums = new Map<string, Map<string, number>>();
  for (const sender of states.flatMap(({ senders }) => senders)) {
    const own = sums.get(names.of(sender.id)) ?? new Map<string, number>();
    sums.set(names.of(sender.id), own);
    const add = (name: string, value: number) => own.set(name, (own.get(name) ?? 0) + value);
    add('waxwing_sender_in_flight', sender.inFlight);
    add('waxwing_sender_in_flight_max', sender.concurrency);
    add(
      'waxwing_sender_backlog',
      sender.tenants.reduce((total, { backlog }) => total + backlog, 0),
    );
    add('waxwing_sender_paused', sender.isPaused ? 1 : 0);
    add('waxwing_sender_rate_per_second', sender.ratePerSecond);
    add('waxwing_sender_tenants', sender.tenants.filter(({ backlog, parked }) => backlog + parked > 0).length);
  }
  return [...sums].flatMap(([sender, own]) => [...own].map(([name, value]) => ({ name, labels: { sender }, value })));
}
