import type { Logger } from 'pino';
import type { Config, Keys } from '../config/index.ts';
import {
  createEventDispatcher,
  createEventSecrets,
  eventHooks,
  type EventSecrets,
  type InboundHooks,
} from '../inbound/index.ts';
import type { MetricDefinition, MetricSource } from '../model/figures.ts';
import { EVENT_STATES, type WaxwingRecord } from '../record/index.ts';
import { createGuardedFetch } from '../util/guarded-fetch/index.ts';

/** Events to products, once per process. */
export interface EventsOutParts {
  readonly hooks: InboundHooks;
  readonly secretsOf: EventSecrets;
  readonly source: MetricSource;
  /** What is wrong with a receiver's address, as a sentence; null = nothing. */
  faultOf(url: string): string | null;
  /** Something may be waiting to be told: look now. */
  wake(): void;
  /** Begins to send; in workers. */
  start(): void;
  stop(graceMs: number): Promise<void>;
}

export const EVENT_METRICS: readonly MetricDefinition[] = [
  {
    name: 'waxwing_events_out',
    help: 'Events to products by state: pending, delivered and dead ones; those that ended as long as they are kept.',
    type: 'gauge',
    labels: ['state'],
    scope: 'shared',
  },
  {
    name: 'waxwing_events_receivers_failing',
    help: 'Receivers of events whose last attempts failed, or that were disabled.',
    type: 'gauge',
    labels: [],
    scope: 'shared',
  },
];

const TIMEOUT_MS = 15_000;
const RETRY_MS = 2_000;

export async function openEventsOut(options: {
  readonly config: Config;
  readonly keys: Keys;
  readonly record: WaxwingRecord;
  readonly log: Logger;
}): Promise<EventsOutParts> {
  const { config, keys, record, log } = options;
  const outbox = record.eventsOut;
  const fetch = createGuardedFetch({ allowPrivate: config.dangerouslyAllowPrivateEventsUrl, timeoutMs: TIMEOUT_MS });
  const secretsOf = createEventSecrets(config.eventsSecret, [keys.secretKey, ...keys.previousSecretKeys]);
  const dispatcher = createEventDispatcher({
    outbox,
    fetch,
    secretsOf,
    perEndpoint: config.eventsConcurrency,
    onAttempt: ({ outcome, ...line }) => {
      if (outcome === 'delivered') log.debug(line, 'event delivered');
      else if (outcome === 'pending') log.debug(line, 'an event was not taken; it is sent again');
      else log.warn(line, 'an event is given up; `waxwing events replay` sends it again');
    },
    onDisabled: (endpoint) => log.warn({ endpoint }, 'a receiver of events answered 410 and gets no more'),
    onError: (error) => log.debug({ err: error }, 'events wait for the record'),
  });
  const stopTelling = await tellDefault(() => outbox.setDefault(config.eventsUrl ?? null), log);

  return {
    hooks: eventHooks({ outbox, senderOf: (id) => record.senders.get(id), wake: () => dispatcher.wake() }),
    secretsOf,
    source: {
      name: 'events',
      metrics: EVENT_METRICS,
      async read() {
        const [counts, endpoints] = await Promise.all([outbox.counts(), outbox.endpoints()]);
        const isSick = (one: (typeof endpoints)[number]) => one.failingSinceMs !== null || one.disabledAtMs !== null;
        return [
          ...EVENT_STATES.map((state) => ({ name: 'waxwing_events_out', labels: { state }, value: counts[state] })),
          { name: 'waxwing_events_receivers_failing', labels: {}, value: endpoints.filter(isSick).length },
        ];
      },
    },
    faultOf: (url) => fetch.faultOf(url),
    wake: () => dispatcher.wake(),
    start: () => dispatcher.start(),
    async stop(graceMs) {
      stopTelling();
      await dispatcher.stop(graceMs);
      await fetch.close();
    },
  };
}

/** What EVENTS_URL says must be in the record before anything is recorded; while that is away it is told later. */
async function tellDefault(tell: () => Promise<void>, log: Logger): Promise<() => void> {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const attempt = async (): Promise<void> => {
    try {
      await tell();
    } catch (error) {
      log.debug({ err: error }, 'the record cannot be told of EVENTS_URL yet');
      if (!isStopped) timer = setTimeout(() => void attempt(), RETRY_MS);
    }
  };
  await attempt();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
