import { connectionOf, type RedisClient } from '../../engine/connection.ts';
import { shardPrefix } from '../../engine/keys.ts';
import { decodeTenant, type TenantRecord } from '../../engine/tenant-record.ts';

export interface TenantState extends TenantRecord {
  readonly id: string;
}

export interface SenderState {
  readonly id: string;
  readonly isPaused: boolean;
  /** Why, when it is. */
  readonly pausedReason: string | null;
  /** Its circuit is not closed: the provider failed too often. */
  readonly isBroken: boolean;
  readonly inFlight: number;
  readonly concurrency: number;
  /** Now; 0 = no limit. */
  readonly ratePerSecond: number;
  /** As configured; more than `ratePerSecond` while the provider slows it down. */
  readonly fullRatePerSecond: number;
  /** Its next token is there, or it has no rate. */
  readonly isAble: boolean;
  /** Conversations whose head is made from a template that the provider stopped. */
  readonly waitingTemplates: number;
  readonly tenants: readonly TenantState[];
}

export interface QueueState {
  readonly shard: number;
  readonly counters: Readonly<Record<string, string>>;
  readonly isPaused: boolean;
  readonly beats: Readonly<Record<string, string>>;
  readonly slots: Readonly<Record<string, string>>;
  readonly streamEntries: number;
  /** Hand-overs that wait for their worker: not begun, or without an end for longer than any attempt lasts. */
  readonly streamWaiting: number;
  readonly streamPending: number;
  readonly eventsKept: number;
  readonly recorderLagMs: number;
  readonly senders: readonly SenderState[];
  /** Pairs and conversations that wait for a time of their own. */
  readonly waitingPairs: number;
  readonly waitingRetries: number;
  /** By how much the earliest timer is overdue; some ms while all is well. */
  readonly timerLagMs: number;
}

/** An attempt is over by then: the send timeout of the engine, and half of it for the ways there and back. */
const HAND_OVER_MS_MAX = 15_000;
/** Hand-overs that are counted beyond that; bounds the work. */
const OVERDUE_MAX = 1000;
/** Timers of which the kinds are counted; bounds the work. */
const TIMERS_MAX = 5000;

/**
 * Reads a shard without a script, so that nothing else waits: a few hashes, and for each sender its tenants. The values
 * are of slightly different moments.
 */
export async function readQueueState(
  client: RedisClient,
  shard: number,
  senderIds: readonly string[],
): Promise<QueueState> {
  const prefix = shardPrefix(shard);
  const key = (letters: string) => `${prefix}${letters}`;
  const [scalars, time, timer, counters, beats, slots, streamEntries, pending, eventsKept, firstEvent, able] =
    await Promise.all([
      client.hmget(key('g'), 'paused', 'off'),
      connectionOf(client, prefix).time(),
      client.zrange(key('tm'), '0', '0', 'WITHSCORES'),
      client.hgetall(key('n')),
      client.hgetall(key('hb')),
      client.hgetall(key('wf')),
      client.xlen(key('out')),
      client.xpending(key('out'), 'wa_workers').catch(() => [0]),
      client.xlen(key('ev')),
      client.xrange(key('ev'), '-', '+', 'COUNT', 1),
      client.zrange(key('rs'), '0', '-1'),
    ]);
  const ableIds = new Set(able);
  const senders = await Promise.all(
    senderIds.map(async (id) => {
      const [state, tenants] = await Promise.all([
        client.hgetall(key(`s:${id}`)),
        client.hgetallBuffer(key(`q:${id}`)),
      ]);
      const waitingTemplates = state['holds'] === '1' ? await templateWaits(client, key, id) : 0;
      return { ...senderState(id, state, tenants, ableIds.has(id)), waitingTemplates };
    }),
  );
  // Timers stand on the shard's pacing clock, which is the server's with an offset.
  const nowMs = Number(time[0]) * 1000 + Math.floor(Number(time[1]) / 1000);
  const pacingMs = nowMs + Number(scalars[1] ?? 0);
  const timerLagMs = timer[1] === undefined ? 0 : Math.max(0, pacingMs - Number(timer[1]));
  const [unbegun, overdue] = await Promise.all([
    client.zcount(key('lz'), pacingMs - HAND_OVER_MS_MAX, '+inf'),
    client
      .xpending(key('out'), 'wa_workers', '-', String(nowMs - HAND_OVER_MS_MAX), OVERDUE_MAX)
      .catch((): unknown[] => []),
  ]);
  const firstMs = Number(firstEvent[0]?.[0].split('-')[0] ?? NaN);
  return {
    shard,
    counters,
    isPaused: scalars[0] === '1',
    beats,
    slots,
    streamEntries,
    streamWaiting: unbegun + overdue.length,
    streamPending: Number((pending as unknown[])[0] ?? 0),
    eventsKept,
    recorderLagMs: Number.isNaN(firstMs) ? 0 : Math.max(0, nowMs - firstMs),
    timerLagMs,
    senders,
    ...(await timerKinds(client, key('tm'))),
  };
}

/** Senders that are read in one shard; bounds the work. */
const SENDERS_READ_MAX = 1000;

/** All shards. @param directory every sender and its shard; keys of the queue are never searched for */
export async function readQueueStates(
  client: RedisClient,
  shards: number,
  directory: ReadonlyMap<string, number>,
): Promise<QueueState[]> {
  return await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const ids = [...directory].filter(([, of]) => of === shard).map(([id]) => id);
      return await readQueueState(client, shard, ids.slice(0, SENDERS_READ_MAX));
    }),
  );
}

function senderState(
  id: string,
  state: Readonly<Record<string, string>>,
  tenants: Readonly<Record<string, Buffer>>,
  isAble: boolean,
): Omit<SenderState, 'waitingTemplates'> {
  const rate = Number(state['rate'] ?? 0);
  return {
    id,
    isPaused: state['paused'] !== undefined && state['paused'] !== '',
    pausedReason: state['paused'] === undefined || state['paused'] === '' ? null : state['paused'],
    isBroken: state['circuit'] !== undefined,
    inFlight: Number(state['inf'] ?? 0),
    concurrency: Number(state['cap'] ?? 0),
    ratePerSecond: state['slow'] === undefined ? rate : Math.min(rate, Number(state['slow'])),
    fullRatePerSecond: rate,
    isAble,
    tenants: Object.entries(tenants).map(([tenant, packed]) => ({ id: tenant, ...decodeTenant(packed) })),
  };
}

async function templateWaits(client: RedisClient, key: (letters: string) => string, sender: string): Promise<number> {
  const templates = await client.hkeys(key(`th:${sender}`));
  const counts = await Promise.all(templates.map((template) => client.zcard(key(`tw:${sender}|${template}`))));
  return counts.reduce((total, count) => total + count, 0);
}

/** Pairs and retries among the timers; of a long set the first ones are counted and the rest is taken in proportion. */
async function timerKinds(client: RedisClient, key: string) {
  const [all, first] = await Promise.all([client.zcard(key), client.zrange(key, '0', String(TIMERS_MAX - 1))]);
  const share = first.length === 0 ? 0 : Math.max(1, all / first.length);
  const count = (letters: string) => Math.round(first.filter((member) => member.startsWith(letters)).length * share);
  return { waitingPairs: count('p:'), waitingRetries: count('l:') };
}

/**
 * What holds the messages of a shard. A conversation's head has one hold; those behind it wait for the conversation.
 * `ready` is what workers could take now: conversations whose pair, tenant and sender all have room.
 */
export function blockedOf(state: QueueState): { holds: Record<string, number>; ready: number } {
  let ready = 0;
  const holds = {
    'sender-paused': 0,
    circuit: 0,
    tenant: 0,
    'sender-rate': 0,
    ready: 0,
    pair: 0,
    retry: 0,
    'template-paused': 0,
    conversation: 0,
  };
  for (const sender of state.senders) {
    let able = 0;
    for (const tenant of sender.tenants) {
      const waiting = Math.max(0, tenant.backlog - tenant.inFlight);
      if (sender.isPaused || state.isPaused) holds['sender-paused'] += waiting;
      else if (sender.isBroken) holds.circuit += waiting;
      else if (tenant.isPaused) holds.tenant += tenant.ready;
      else {
        const room = Math.min(tenant.ready, Math.max(0, tenant.concurrency - tenant.inFlight));
        holds.tenant += tenant.ready - room;
        able += room;
      }
    }
    if (!sender.isPaused && !state.isPaused && !sender.isBroken) holds['template-paused'] += sender.waitingTemplates;
    const now = sender.isAble ? Math.min(able, Math.max(0, sender.concurrency - sender.inFlight)) : 0;
    holds['sender-rate'] += able - now;
    ready += now;
  }
  holds.ready = ready;
  const queued = Number(state.counters['queued'] ?? 0);
  const named = () => Object.values(holds).reduce((total, count) => total + count, 0);
  holds.pair = Math.min(state.waitingPairs, Math.max(0, queued - named()));
  holds.retry = Math.min(state.waitingRetries, Math.max(0, queued - named()));
  holds.conversation = Math.max(0, queued - named());
  return {
    holds: {
      ...holds,
      scheduled: Number(state.counters['scheduled'] ?? 0),
      deferred: Number(state.counters['deferred'] ?? 0),
    },
    ready,
  };
}
