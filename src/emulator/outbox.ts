import { Agent, request } from 'undici';
import { foreignOf } from './foreign-ids.ts';
import { evolutionEvent, foreignPost, foreignUrl, type ForeignPost } from './foreign-webhooks.ts';
import type { Settings } from './settings.ts';
import type { Timers } from './timers.ts';
import { escapedJson, signature, webhookPayload, type Update } from './webhook-body.ts';

export interface WebhookStats {
  /** Updates waiting, being sent or waiting for a retry. */
  pending: number;
  /** POSTs made, retries included. */
  posts: number;
  /** Updates that were answered 200, counted once per copy. */
  delivered: number;
  retries: number;
  /** Updates given up after the last try. */
  gaveUp: number;
  /** Updates dropped on purpose (`dropProbability`). */
  dropped: number;
  duplicated: number;
  /** Updates dropped because `queueMax` was reached. */
  overflowed: number;
  lastStatus: number | null;
  lastError: string | null;
}

/** What became of an update: `null` status = no answer. */
export interface Delivery {
  readonly delivered: boolean;
  readonly status: number | null;
}

interface Queued {
  readonly update: Update;
  readonly done: ((delivery: Delivery) => void) | null;
}

interface Batch {
  readonly items: readonly Queued[];
  /** Made once: a retry sends the same bytes. */
  readonly body: string;
  /** Headers of another provider; null = Meta's, made for every POST. */
  readonly headers: ForeignPost['headers'] | null;
  attempts: number;
}

interface Target {
  readonly url: string;
  items: Queued[];
  retries: Batch[];
  active: number;
  flushing: boolean;
}

/**
 * Sends webhooks as Meta does: in batches, several at once, retried ever more rarely unless answered 200, and, when
 * told to, late, twice, in another order, or not at all.
 */
export class Outbox {
  readonly #settings: () => Settings;
  readonly #timers: Timers;
  readonly #targets = new Map<string, Target>();
  #agent = new Agent({ connections: 64 });
  readonly stats: WebhookStats = emptyStats();
  /** Grows with a reset, so that what was on its way before does not count any more. */
  #generation = 0;

  constructor(settings: () => Settings, timers: Timers) {
    this.#settings = settings;
    this.#timers = timers;
  }

  /** Puts an update on its way. Without a webhook address it goes nowhere. */
  send(update: Update, done: ((delivery: Delivery) => void) | null = null): void {
    const { webhook, numbers } = this.#settings();
    const foreign = foreignUrl(update, this.#settings());
    const url = foreign === undefined ? (numbers[update.phoneNumberId]?.webhookUrl ?? webhook.url) : foreign;
    if (url === null) {
      done?.({ delivered: false, status: null });
      return;
    }
    if (Math.random() < webhook.dropProbability) {
      this.stats.dropped += 1;
      done?.({ delivered: false, status: null });
      return;
    }
    this.#later(url, { update, done });
    if (Math.random() < webhook.duplicateProbability) {
      this.stats.duplicated += 1;
      // The copy takes a way of its own, so it can also arrive at the same time or first.
      this.#timers.after(Math.random() * 50, () => this.#later(url, { update, done: null }));
    }
  }

  /** Tells an event of an Evolution instance that is about no message. Tried once. */
  sendEvent(instance: string, event: string, data: unknown): void {
    const settings = this.#settings();
    const { webhookUrl } = settings.evolution;
    if (webhookUrl === null) return;
    const { body, headers } = evolutionEvent(instance, event, data, settings);
    this.#postOnce(webhookUrl, body, headers);
  }

  #postOnce(url: string, body: string, headers: ForeignPost['headers']): void {
    const { timeoutMs } = this.#settings().webhook;
    const timeouts = { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
    this.stats.posts += 1;
    void request(url, { method: 'POST', dispatcher: this.#agent, ...timeouts, headers, body })
      .then((answer) => answer.body.dump())
      .catch((error: unknown) => {
        this.stats.lastError = error instanceof Error ? error.message : 'unknown';
      });
  }

  /** Tells a change of the account that is about no number. Tried once. */
  sendChange(field: string, value: unknown): void {
    const { webhook, businessAccountId } = this.#settings();
    if (webhook.url === null) return;
    const entry = [{ id: businessAccountId, time: Math.floor(Date.now() / 1000), changes: [{ field, value }] }];
    const body = escapedJson({ object: 'whatsapp_business_account', entry });
    this.#postOnce(webhook.url, body, {
      'content-type': 'application/json',
      ...(webhook.appSecret === null ? {} : { 'x-hub-signature-256': signature(body, webhook.appSecret) }),
    });
  }

  /** Settings changed: what was held back may go now. */
  settingsChanged(): void {
    for (const target of this.#targets.values()) this.#schedule(target, 0);
  }

  reset(): void {
    this.#generation += 1;
    this.#targets.clear();
    Object.assign(this.stats, emptyStats());
  }

  async close(): Promise<void> {
    this.#targets.clear();
    await this.#agent.destroy();
  }

  #later(url: string, queued: Queued): void {
    const { webhook } = this.#settings();
    if (this.stats.pending >= webhook.queueMax) {
      this.stats.overflowed += 1;
      queued.done?.({ delivered: false, status: null });
      return;
    }
    this.stats.pending += 1;
    const delayMs = webhook.delayMs + Math.random() * webhook.shuffleMs;
    if (delayMs < 1) {
      this.#push(url, queued);
      return;
    }
    const generation = this.#generation;
    this.#timers.after(delayMs, () => {
      if (generation === this.#generation) this.#push(url, queued);
    });
  }

  #push(url: string, queued: Queued): void {
    let target = this.#targets.get(url);
    if (!target) {
      target = { url, items: [], retries: [], active: 0, flushing: false };
      this.#targets.set(url, target);
    }
    target.items.push(queued);
    this.#schedule(target, this.#settings().webhook.batchWaitMs);
  }

  /** One flush per target is planned at a time; it gathers what comes until then. */
  #schedule(target: Target, waitMs: number): void {
    if (target.flushing) return;
    target.flushing = true;
    const flush = (): void => {
      target.flushing = false;
      this.#flush(target);
    };
    if (waitMs > 0) this.#timers.after(waitMs, flush);
    else setImmediate(flush);
  }

  #flush(target: Target): void {
    const { webhook } = this.#settings();
    if (webhook.paused || this.#targets.get(target.url) !== target) return;
    while (target.active < webhook.concurrency) {
      const batch = target.retries.shift() ?? this.#nextBatch(target, webhook.batchMax);
      if (!batch) return;
      target.active += 1;
      void this.#post(target, batch, this.#generation);
    }
  }

  #nextBatch(target: Target, batchMax: number): Batch | null {
    if (target.items.length === 0) return null;
    const isForeign = (item: Queued): boolean => foreignOf(item.update.phoneNumberId) !== null;
    const [first] = target.items;
    if (first !== undefined && isForeign(first)) {
      // The other providers tell one thing in one POST.
      const items = target.items.splice(0, 1);
      return { items, ...foreignPost(first.update, target.url, this.#settings()), attempts: 0 };
    }
    const other = target.items.findIndex(isForeign);
    const items = target.items.splice(0, other < 0 ? batchMax : Math.min(batchMax, other));
    const updates = items.map((item) => item.update);
    return { items, body: escapedJson(webhookPayload(updates, this.#settings())), headers: null, attempts: 0 };
  }

  /** One try. Never throws: what a receiver does wrong ends in a retry and in the statistics. */
  async #post(target: Target, batch: Batch, generation: number): Promise<void> {
    const { webhook } = this.#settings();
    batch.attempts += 1;
    let status: number | null = null;
    let problem: string | null = null;
    try {
      const answer = await request(target.url, {
        method: 'POST',
        dispatcher: this.#agent,
        headersTimeout: webhook.timeoutMs,
        bodyTimeout: webhook.timeoutMs,
        headers: batch.headers ?? {
          'content-type': 'application/json',
          'user-agent': 'facebookexternalua',
          ...(webhook.appSecret === null ? {} : { 'x-hub-signature-256': signature(batch.body, webhook.appSecret) }),
        },
        body: batch.body,
      });
      status = answer.statusCode;
      await answer.body.dump();
    } catch (error) {
      problem =
        error instanceof Error ? `${'code' in error ? `${String(error.code)}: ` : ''}${error.message}` : 'unknown';
    }
    target.active -= 1;
    if (generation !== this.#generation) return;
    this.stats.posts += 1;
    this.stats.lastStatus = status;
    // The other providers take any success; Meta takes 200 only.
    if (batch.headers !== null && status !== null && status >= 200 && status < 300) status = 200;
    if (status !== 200) this.stats.lastError = problem ?? `answered ${String(status)} instead of 200`;
    this.#settle(target, batch, status);
    this.#schedule(target, 0);
  }

  #settle(target: Target, batch: Batch, status: number | null): void {
    const { webhook } = this.#settings();
    const delivered = status === 200;
    if (delivered || batch.attempts >= webhook.attemptsMax) {
      this.stats.pending -= batch.items.length;
      this.stats[delivered ? 'delivered' : 'gaveUp'] += batch.items.length;
      for (const item of batch.items) item.done?.({ delivered, status });
      return;
    }
    this.stats.retries += 1;
    // Meta retries at once, then ever more rarely.
    const delayMs =
      batch.attempts === 1 ? 0 : Math.min(webhook.retryDelayMsMax, webhook.retryDelayMs * 2 ** (batch.attempts - 2));
    const generation = this.#generation;
    this.#timers.after(delayMs * (0.75 + Math.random() / 2), () => {
      if (generation !== this.#generation) return;
      target.retries.push(batch);
      this.#schedule(target, 0);
    });
  }
}

function emptyStats(): WebhookStats {
  return {
    pending: 0,
    posts: 0,
    delivered: 0,
    retries: 0,
    gaveUp: 0,
    dropped: 0,
    duplicated: 0,
    overflowed: 0,
    lastStatus: null,
    lastError: null,
  };
}

/**
 * Meta's verification handshake: asks the webhook address to repeat a challenge.
 * @returns what it answered, and whether that is what Meta would accept
 */
export async function verifyWebhook(
  url: string,
  verifyToken: string,
  timeoutMs: number,
): Promise<{ verified: boolean; status: number | null; detail: string }> {
  const challenge = String(Math.floor(1e9 + Math.random() * 9e9));
  const target = new URL(url);
  target.searchParams.set('hub.mode', 'subscribe');
  target.searchParams.set('hub.challenge', challenge);
  target.searchParams.set('hub.verify_token', verifyToken);
  const agent = new Agent();
  try {
    const answer = await request(target, { dispatcher: agent, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
    const text = (await answer.body.text()).trim();
    const verified = answer.statusCode === 200 && text === challenge;
    const detail = verified
      ? 'The webhook repeated the challenge: Meta would accept it.'
      : `The webhook answered ${answer.statusCode} and ${text === challenge ? 'the challenge' : 'not the bare challenge'}: it must answer 200 with the bare challenge when hub.verify_token is right.`;
    return { verified, status: answer.statusCode, detail };
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown error';
    return { verified: false, status: null, detail: `The webhook could not be reached: ${reason}` };
  } finally {
    await agent.destroy();
  }
}
