import { Counter, Histogram, type Registry } from 'prom-client';
import type { AcceptResult, Grant, NewMessage, SettleRequest } from '../../engine/contract.ts';
import { timeOfId } from '../../util/ids.ts';
import { BoundedNames } from './names.ts';

/** Seconds; from a hand-over within the process to the longest that a person would wait for. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];
const CALL_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Senders are numbers of one installation; more of them than this are told as `other`. */
const SENDERS_MAX = 200;

export interface SendMetricsOptions {
  /** Tenants that get a label of their own (METRICS_TENANTS_MAX); the rest are `other`. */
  readonly tenantsMax: number;
}

type Count =
  'accepted' | 'duplicates' | 'refused' | 'sent' | 'failed' | 'retries' | 'deferred' | 'ambiguous' | 'unstarted';

const HELP: Readonly<Record<Count, string>> = {
  accepted: 'Messages accepted by this process.',
  duplicates: 'Accepts that named an idempotency key which had its message already.',
  refused: 'Accepts refused by the queue: the backlog is full, or the key was used for another body.',
  sent: 'Messages that the provider took from this worker.',
  failed: 'Messages that ended as dead letters in this worker.',
  retries: 'Attempts that will be repeated soon.',
  deferred: 'Attempts after which the message waits for a slow retry.',
  ambiguous: 'Attempts whose outcome is not known.',
  unstarted: 'Hand-overs given back because they could not start in time; nothing was sent.',
};

interface Told {
  inc(value?: number): void;
}

/**
 * What one process counts while it sends. Told on the hot path: a lookup in a map by sender and tenant and an addition,
 * because the labels of the library would be hashed anew at each call.
 */
export class SendMetrics {
  readonly #counters: Readonly<Record<Count, Counter>>;
  readonly #deliveries: Counter;
  readonly #errors: Counter;
  readonly #acceptToSent: Histogram;
  readonly #call: Histogram;
  readonly #tenants: BoundedNames;
  readonly #senders = new BoundedNames(SENDERS_MAX);
  readonly #told = new Map<string, Told>();
  readonly #observed = new Map<string, { observe(value: number): void }>();

  constructor(registry: Registry, options: SendMetricsOptions) {
    this.#tenants = new BoundedNames(options.tenantsMax);
    const registers = [registry];
    const labelNames = ['sender', 'tenant'];
    this.#counters = Object.fromEntries(
      Object.entries(HELP).map(([name, help]) => [
        name,
        new Counter({ name: `waxwing_messages_${name}_total`, help, labelNames, registers }),
      ]),
    ) as Record<Count, Counter>;
    this.#deliveries = new Counter({
      name: 'waxwing_messages_delivery_total',
      help: 'Messages that reached this delivery status (sent, delivered, read, failed), once for each message and status.',
      labelNames: [...labelNames, 'status'],
      registers,
    });
    this.#errors = new Counter({
      name: 'waxwing_provider_errors_total',
      help: "Attempts that did not succeed, by the provider's code.",
      labelNames: ['sender', 'code'],
      registers,
    });
    this.#acceptToSent = new Histogram({
      name: 'waxwing_accept_to_sent_seconds',
      help: 'From the accept, or the time it was scheduled for, until the provider took the message.',
      labelNames: ['sender'],
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#call = new Histogram({
      name: 'waxwing_provider_call_seconds',
      help: 'One call to the provider.',
      labelNames: ['sender', 'outcome'],
      buckets: CALL_BUCKETS,
      registers,
    });
  }

  /** What the queue answered to an accept. */
  accepted({ lane }: Pick<NewMessage, 'lane'>, { kind }: Pick<AcceptResult, 'kind'>): void {
    if (kind === 'accepted') this.#count('accepted', lane);
    else if (kind === 'duplicate') this.#count('duplicates', lane);
    else this.#count('refused', lane);
  }

  /** What a worker settled; a settlement that came too late is not one. */
  settled({ grant, settlement, report }: SettleRequest): void {
    const { lane } = grant;
    this.#count(COUNT_OF[settlement.kind], lane);
    if (report === null) return;
    const sender = this.#senders.of(lane.sender);
    this.#observe(`c|${sender}|${report.outcome}`, () =>
      this.#call.labels({ sender, outcome: report.outcome }),
    ).observe(seconds(report.endedAtMs - report.startedAtMs));
    if (report.error !== undefined) {
      this.#errors.inc({ sender, code: codeOf(report.error) });
    }
    if (settlement.kind !== 'sent') return;
    const sinceMs = dueSince(grant);
    if (sinceMs === null) return;
    this.#observe(`s|${sender}`, () => this.#acceptToSent.labels({ sender })).observe(
      seconds(report.endedAtMs - sinceMs),
    );
  }

  /** What status webhooks changed, as the recorder found it. */
  delivered(lane: { readonly sender: string; readonly tenant: string }, status: string): void {
    this.#of('d', lane, (labels) => this.#deliveries.labels({ ...labels, status }), status).inc();
  }

  #count(name: Count, lane: { readonly sender: string; readonly tenant: string }): void {
    this.#of(name, lane, (labels) => this.#counters[name].labels(labels)).inc();
  }

  #of(
    name: string,
    lane: { readonly sender: string; readonly tenant: string },
    make: (labels: { sender: string; tenant: string }) => Told,
    more = '',
  ): Told {
    const sender = this.#senders.of(lane.sender);
    const tenant = this.#tenants.of(lane.tenant);
    const key = `${name}|${sender}|${tenant}|${more}`;
    let told = this.#told.get(key);
    if (told === undefined) this.#told.set(key, (told = make({ sender, tenant })));
    return told;
  }

  #observe(key: string, make: () => { observe(value: number): void }) {
    let observed = this.#observed.get(key);
    if (observed === undefined) this.#observed.set(key, (observed = make()));
    return observed;
  }
}

const COUNT_OF = {
  sent: 'sent',
  failed: 'failed',
  retry: 'retries',
  deferred: 'deferred',
  unknown: 'ambiguous',
  unstarted: 'unstarted',
} as const satisfies Record<SettleRequest['settlement']['kind'], Count>;

/** The provider's own number, or our code: both come from a table, so they are bounded. */
function codeOf({ providerCode, code }: { readonly providerCode: string | null; readonly code: string }): string {
  return providerCode !== null && /^[\w:-]{1,32}$/.test(providerCode) ? providerCode : code;
}

function seconds(ms: number): number {
  return Math.max(0, ms) / 1000;
}

/** When the message could first have gone, epoch ms: its creation, or the time that it was scheduled for. */
function dueSince({ messageId, body }: Pick<Grant, 'messageId' | 'body'>): number | null {
  const createdAtMs = timeOfId(messageId);
  // Few messages are scheduled: only theirs are read again.
  if (body === null || !body.includes('"sendAtMs":')) return createdAtMs;
  const { sendAtMs } = JSON.parse(body) as { sendAtMs?: unknown };
  return typeof sendAtMs === 'number' ? sendAtMs : createdAtMs;
}
