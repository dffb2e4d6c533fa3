import type { AlertRule } from './rule.ts';

const messages = (...state: string[]) => ({ metric: 'waxwing_messages_total', where: { state } });
/** WhatsApp takes most messages first and reports the failure later: such a message has ended as sent, and is one of those. */
const failed = messages('failed', 'undelivered');

/**
 * Not `user-mapping`, where every new person is a miss, nor `conversation-history`, which every message evicts; nor what
 * every accept asks (`salon`, `whatsapp-config`, `user-projects`), whose hits would hide the misses of the others.
 */
const JUDGED_CACHES = {
  cache: ['dashboard', 'template', 'conversation', 'template-sids', 'template-content', 'other'],
};

/**
 * Every alert, in one place: evaluated by the program itself and written to deploy/prometheus/rules.yaml.
 * `npm run generate` after a change.
 */
export const ALERT_RULES: readonly AlertRule[] = [
  {
    id: 'failed-share',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'More than 5 % of the messages that ended in the last hour have failed.',
    advice: 'Look at the failures by code (GET /admin/failures): one code usually explains most of them.',
    condition: {
      kind: 'share',
      part: failed,
      of: [messages('sent', 'failed')],
      windowSeconds: 3600,
      op: '>',
      value: 0.05,
      atLeast: 20,
    },
  },
  {
    id: 'failure-rate',
    severity: 'critical',
    forSeconds: 60,
    sentence: 'More than 5 % of the messages that ended in the last 5 minutes have failed.',
    advice: 'Something broke now: credentials, a template, or the provider. Look at the newest failures.',
    condition: {
      kind: 'share',
      part: failed,
      of: [messages('sent', 'failed')],
      windowSeconds: 300,
      op: '>',
      value: 0.05,
      atLeast: 20,
    },
  },
  {
    id: 'waiting-many',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'More than 1,000 messages wait.',
    advice: 'A broadcast explains it. Otherwise waxwing_backlog_held says what holds them.',
    condition: waitingMoreThan(1000),
  },
  {
    id: 'waiting-long',
    severity: 'critical',
    forSeconds: 300,
    sentence: 'More than 1,000 messages have been waiting for 5 minutes.',
    advice: 'Look whether workers live, whether a sender is paused, and at its rate: waxwing_backlog_held says which.',
    condition: waitingMoreThan(1000),
  },
  {
    id: 'stream-waiting',
    severity: 'critical',
    forSeconds: 300,
    sentence: 'More than 10 hand-overs in the stream have waited for their worker for 5 minutes.',
    advice: 'Workers take but do not send: look at their logs and at the load of their machines.',
    condition: { kind: 'level', of: { metric: 'waxwing_stream_waiting' }, take: 'sum', op: '>', value: 10 },
  },
  {
    id: 'no-workers',
    severity: 'critical',
    forSeconds: 60,
    sentence: 'No worker has been alive for a minute: nothing is sent.',
    advice: 'Start one: waxwing start --role worker.',
    condition: { kind: 'level', of: { metric: 'waxwing_workers' }, take: 'min', op: '<', value: 1 },
  },
  {
    id: 'dead-letters',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'Messages have become dead letters in the last 10 minutes.',
    advice: 'GET /admin/dead-letters lists them with their reasons; redrive them when the reason is gone.',
    condition: { kind: 'increase', of: failed, windowSeconds: 600, above: 0 },
  },
  {
    id: 'held-for-a-person',
    severity: 'warning',
    forSeconds: 300,
    sentence: 'Messages were ambiguous twice and wait for a person to decide.',
    advice:
      'Look into the conversation at WhatsApp: if the message is there, discard the dead letter here, else redrive it.',
    condition: {
      kind: 'level',
      of: { metric: 'waxwing_backlog', where: { state: 'held' } },
      take: 'sum',
      op: '>',
      value: 0,
    },
  },
  {
    id: 'failures-pending',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'More than 100 messages wait for a slow retry.',
    advice: 'The provider refuses much: GET /admin/failures by code says what.',
    condition: {
      kind: 'level',
      of: { metric: 'waxwing_delivery_failures', where: { status: 'PENDING' } },
      take: 'sum',
      op: '>',
      value: 100,
    },
  },
  {
    id: 'failures-permanent',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'More than 10 messages failed for good and wait for a person.',
    advice: 'GET /admin/dead-letters, newest first: redrive what is worth it, and discard the rest.',
    condition: { kind: 'level', of: { metric: 'waxwing_dead_letters' }, take: 'sum', op: '>', value: 10 },
  },
  {
    id: 'retry-worker-stopped',
    severity: 'critical',
    forSeconds: 60,
    sentence: 'The retry worker of a process has stopped or hangs.',
    advice:
      'Due retries still go at their time, but failures that statuses report are not retried and nothing is audited. Start it (whatsappRetryWorker.start()) or restart the process.',
    condition: { kind: 'level', of: { metric: 'waxwing_retry_worker_running' }, take: 'min', op: '<', value: 1 },
  },
  {
    id: 'timers-overdue',
    severity: 'critical',
    forSeconds: 60,
    sentence: 'Retries and timers are overdue by more than a minute: nobody serves them.',
    advice: 'No process of Waxwing reaches the queue, or all are overloaded: look at their logs and start a worker.',
    condition: { kind: 'level', of: { metric: 'waxwing_timer_lag_seconds' }, take: 'max', op: '>', value: 60 },
  },
  {
    id: 'redis-memory',
    severity: 'critical',
    forSeconds: 0,
    sentence: 'A Redis uses more than 80 % of the memory that it may use.',
    advice:
      'At 90 % of the queue Redis new messages are refused. Give it memory, or look what fills it: the backlog, or events that are not recorded.',
    condition: {
      kind: 'share',
      part: { metric: 'waxwing_redis_memory_used_bytes' },
      of: [{ metric: 'waxwing_redis_memory_max_bytes' }],
      by: 'redis',
      op: '>',
      value: 0.8,
      atLeast: 1,
    },
  },
  {
    id: 'queue-disk',
    severity: 'critical',
    forSeconds: 0,
    sentence: 'The disk of the embedded queue Redis is more than 80 % full.',
    advice:
      'With a tenth or 512 MiB free, whichever is less, new messages are refused. Free space or give it a larger disk; it goes on by itself.',
    condition: {
      kind: 'share',
      part: { metric: 'waxwing_queue_disk_used_bytes' },
      of: [{ metric: 'waxwing_queue_disk_size_bytes' }],
      op: '>',
      value: 0.8,
      atLeast: 1,
    },
  },
  {
    id: 'redis-unreachable',
    severity: 'critical',
    forSeconds: 0,
    sentence: 'A Redis cannot be reached.',
    advice: 'Without the queue Redis nothing is accepted or sent. What was accepted is on its disk: bring it back.',
    condition: { kind: 'level', of: { metric: 'waxwing_redis_up' }, take: 'min', by: 'redis', op: '<', value: 1 },
  },
  {
    id: 'redis-evicts',
    severity: 'critical',
    forSeconds: 0,
    sentence: 'The queue Redis threw keys away in the last 10 minutes: accepted messages may be lost.',
    advice: 'Set maxmemory-policy noeviction at once, then run waxwing doctor.',
    condition: {
      kind: 'increase',
      of: { metric: 'waxwing_redis_evicted_keys_total', where: { redis: 'queue' } },
      windowSeconds: 600,
      above: 0,
    },
  },
  {
    id: 'postgres-unreachable',
    severity: 'critical',
    forSeconds: 30,
    sentence: 'PostgreSQL cannot be reached: messages are sent, but nothing is recorded or can be read.',
    advice: 'Bring it back; the record catches up by itself. Until then the events fill the queue Redis.',
    condition: { kind: 'level', of: { metric: 'waxwing_postgres_up' }, take: 'min', op: '<', value: 1 },
  },
  {
    id: 'recorder-behind',
    severity: 'warning',
    forSeconds: 120,
    sentence: 'Events wait more than 30 s to be recorded: lists and failures show old states.',
    advice: 'Look at the log for "recording waits", and at the load of PostgreSQL.',
    condition: { kind: 'level', of: { metric: 'waxwing_recorder_lag_seconds' }, take: 'max', op: '>', value: 30 },
  },
  {
    id: 'recorder-quarantine',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'Events could not be recorded and were put aside.',
    advice: 'The table recorder_quarantine has them with the reason; report it.',
    condition: { kind: 'level', of: { metric: 'waxwing_recorder_quarantined' }, take: 'sum', op: '>', value: 0 },
  },
  {
    id: 'breaker-open',
    severity: 'critical',
    forSeconds: 0,
    sentence: 'A circuit breaker is open: calls to this service are held back.',
    advice:
      'It probes by itself and closes when the service answers. Look at what failed: the provider, the responder or the database.',
    condition: { kind: 'level', of: { metric: 'waxwing_breaker_open' }, take: 'max', by: 'breaker', op: '>', value: 0 },
  },
  {
    id: 'cache-miss-spike',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'A cache misses far more than usual in its newest window.',
    advice:
      'Look for a mass eviction, a restart of its Redis, or a new kind of key; GET /api/cache/metrics has the figures.',
    condition: { kind: 'level', of: { metric: 'waxwing_cache_spike' }, take: 'max', by: 'cache', op: '>', value: 0 },
  },
  {
    id: 'cache-hit-rate',
    severity: 'warning',
    forSeconds: 300,
    sentence: 'Low cache hit rate: fewer than 80 % of the reads found what they looked for.',
    advice: 'The target is above 90 %. Lifetimes may be too short, or the byte budget too small.',
    condition: {
      kind: 'share',
      part: { metric: 'waxwing_cache_hits_total', where: JUDGED_CACHES },
      of: [
        { metric: 'waxwing_cache_hits_total', where: JUDGED_CACHES },
        { metric: 'waxwing_cache_misses_total', where: JUDGED_CACHES },
      ],
      op: '<',
      value: 0.8,
      atLeast: 100,
    },
  },
  {
    id: 'events-dead',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'Events to a product were given up in the last hour: it does not know what became of its messages.',
    advice: 'Mend its receiver, then send them again: waxwing events replay --state dead --yes.',
    condition: {
      kind: 'increase',
      of: { metric: 'waxwing_events_out', where: { state: 'dead' } },
      windowSeconds: 3600,
      above: 0,
    },
  },
  {
    id: 'events-receiver-failing',
    severity: 'warning',
    forSeconds: 300,
    sentence: 'A receiver of events has not taken any for 5 minutes, or was disabled.',
    advice: 'GET /admin/events/endpoints says which and why; its events wait for 28 hours, then they are given up.',
    condition: { kind: 'level', of: { metric: 'waxwing_events_receivers_failing' }, take: 'max', op: '>', value: 0 },
  },
  {
    id: 'no-status',
    severity: 'warning',
    forSeconds: 0,
    sentence: 'Messages were sent long ago and no status came since.',
    advice: 'Look whether webhooks arrive: their address, the verify token and the app secret.',
    condition: { kind: 'level', of: { metric: 'waxwing_messages_without_status' }, take: 'sum', op: '>', value: 0 },
  },
];

function waitingMoreThan(value: number): AlertRule['condition'] {
  return {
    kind: 'level',
    of: { metric: 'waxwing_backlog', where: { state: 'queued' } },
    take: 'sum',
    op: '>',
    value,
  };
}
