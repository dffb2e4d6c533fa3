import type { ProviderStatus } from '../providers/contract.ts';

/** What came in since this process started. */
export interface InboundFigures {
  readonly webhooks: number;
  readonly messages: number;
  /** Messages that were in the record already. */
  readonly duplicates: number;
  readonly statuses: number;
  readonly echoes: number;
  /** Messages above the limit of their person. */
  readonly limited: number;
  /** Items that could not be read or stored; kept raw. */
  readonly broken: number;
  /** Messages and events of senders that are none of ours. */
  readonly foreign: number;
  /** Webhooks that went to PostgreSQL because the queue was away. */
  readonly fallbacks: number;
  /** Jobs that had to be tried again. */
  readonly failures: number;
  /** Statements joined: rows per call is messages divided by this. */
  readonly batches: number;
  /** Events by kind and, for those without a reader, by the provider's own word. */
  readonly events: Readonly<Record<string, number>>;
}

type Counter = Exclude<keyof InboundFigures, 'events'>;

/** Different words of providers that are counted by name; more are counted together. */
const WORDS_MAX = 200;

export class InboundStatistics {
  readonly #counts: Record<Counter, number> = {
    webhooks: 0,
    messages: 0,
    duplicates: 0,
    statuses: 0,
    echoes: 0,
    limited: 0,
    broken: 0,
    foreign: 0,
    fallbacks: 0,
    failures: 0,
    batches: 0,
  };
  readonly #events = new Map<string, number>();

  add(counter: Counter, count = 1): void {
    this.#counts[counter] += count;
  }

  /** Statuses, and by name what no version of ours knew in them. */
  statuses(statuses: readonly Pick<ProviderStatus, 'unknownFields'>[]): void {
    this.add('statuses', statuses.length);
    for (const { unknownFields = [] } of statuses) for (const name of unknownFields) this.event(`other:status.${name}`);
  }

  event(word: string): void {
    const name = this.#events.has(word) || this.#events.size < WORDS_MAX ? word : 'more';
    this.#events.set(name, (this.#events.get(name) ?? 0) + 1);
  }

  figures(): InboundFigures {
    return { ...this.#counts, events: Object.fromEntries(this.#events) };
  }
}
