import { createHash } from 'node:crypto';
import { ConsecutiveBreaker } from 'cockatiel';
import { LRUCache } from 'lru-cache';
import type { BadHealth } from '../engine/contract.ts';
import type { ProviderOutcome, SenderAccount } from '../providers/contract.ts';

export interface ProviderHealthOptions {
  /** CIRCUIT_BREAKER_THRESHOLD: bad outcomes in a row. */
  readonly threshold: number;
  /** CIRCUIT_BREAKER_TIMEOUT, ms. */
  readonly openMs: number;
  /** Monotonic clock, ms; tests inject one. */
  readonly now?: () => number;
}

export interface Judgement {
  /** Goes with the settlement; absent when the outcome says nothing bad of the sender's health. */
  readonly badHealth?: BadHealth;
  /** Other senders whose credential failed too often: their circuits open as well. */
  readonly alsoOpen: readonly string[];
}

type Spoke = 'well' | 'ill' | 'ill-of-credential' | 'nothing';

const NOTHING: Judgement = { alsoOpen: [] };
/** Counters of senders and credentials that were not used for longest go first. */
const COUNTERS_MAX = 20_000;

/**
 * Counts what the provider's answers say of the health of a sender and of its credential, each with a counter of its
 * own. Only the counting is here: that nothing goes while a circuit is open, and that one probe goes then, is decided
 * in the engine, over all workers. Refusals of a recipient or a payload, and limits, are answers of a healthy provider.
 */
export class ProviderHealth {
  readonly #options: ProviderHealthOptions;
  readonly #now: () => number;
  readonly #senders = new LRUCache<string, Counter>({ max: COUNTERS_MAX });
  readonly #credentials = new LRUCache<string, Counter & { readonly senders: Set<string> }>({ max: COUNTERS_MAX });

  constructor(options: ProviderHealthOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  judge(account: SenderAccount, outcome: ProviderOutcome): Judgement {
    const sender = this.#sender(account.id);
    const credential = this.#credential(account);
    const spoke = spokeOf(outcome);
    if (spoke === 'nothing') return NOTHING;
    if (spoke === 'well') {
      this.#well(sender);
      this.#well(credential);
      return NOTHING;
    }
    const senderBroke = spoke === 'ill' && this.#ill(sender);
    const credentialBroke = this.#ill(credential);
    const alsoOpen = credentialBroke ? [...credential.senders].filter((id) => id !== account.id) : [];
    // A credential's own error pauses its sender until a person acts; a probe would only repeat it.
    if (spoke === 'ill-of-credential') return { alsoOpen };
    return { badHealth: { opens: senderBroke || credentialBroke, openMs: this.#options.openMs }, alsoOpen };
  }

  #well({ breaker }: Counter): void {
    breaker.success();
  }

  #ill(counter: Counter): boolean {
    const now = this.#now();
    // Failures of long ago are not "in a row" with this one, and those of an outage that is over must not count again.
    if (now - counter.failedAtMs > this.#options.openMs) counter.breaker.success();
    counter.failedAtMs = now;
    const broke = counter.breaker.failure();
    if (broke) counter.breaker.success();
    return broke;
  }

  #sender(id: string): Counter {
    const known = this.#senders.get(id);
    if (known !== undefined) return known;
    const made = this.#counter();
    this.#senders.set(id, made);
    return made;
  }

  #credential(account: SenderAccount): Counter & { readonly senders: Set<string> } {
    const key = credentialKey(account);
    let counter = this.#credentials.get(key);
    if (counter === undefined) {
      counter = { ...this.#counter(), senders: new Set() };
      this.#credentials.set(key, counter);
    }
    counter.senders.add(account.id);
    return counter;
  }

  #counter(): Counter {
    return { breaker: new ConsecutiveBreaker(this.#options.threshold), failedAtMs: Number.NEGATIVE_INFINITY };
  }
}

interface Counter {
  readonly breaker: Pick<ConsecutiveBreaker, 'success' | 'failure'>;
  failedAtMs: number;
}

/** Whether the outcome speaks of the provider's health. */
function spokeOf(outcome: ProviderOutcome): Spoke {
  switch (outcome.kind) {
    case 'sent':
      return 'well';
    case 'ambiguous':
      return 'ill';
    case 'not-sent':
      return outcome.error.code === 'PROVIDER_UNREACHABLE' ? 'ill' : 'nothing';
    case 'rejected':
      if (outcome.class === 'credentials') return 'ill-of-credential';
      if (outcome.httpStatus >= 500 && outcome.class.startsWith('retry')) return 'ill';
      return outcome.httpStatus === 0 ? 'nothing' : 'well';
  }
}

/** Senders with the same credential at the same address share it. A digest, so that no secret is kept twice. */
function credentialKey({ provider, apiUrl, credentials }: SenderAccount): string {
  const { accessToken, authToken, apiKey } = credentials;
  const said = JSON.stringify([provider, apiUrl, accessToken ?? authToken ?? apiKey ?? credentials]);
  return createHash('sha256').update(said).digest('base64url');
}
