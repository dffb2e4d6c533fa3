import { Client } from 'undici';
import { CAST, type DemoTenant, lineFor } from './cast.ts';

/** What the demo sent, as it was answered. */
export interface TrafficCounts {
  accepted: number;
  refused: number;
}

const TICK_MS = 250;
const BURST_EVERY_MS = 20_000;
const BURST_SIZE = 150;

/** Sends sample traffic through the HTTP API, as a product's back end would. Bounded: a few messages per second. */
export class Traffic {
  readonly counts: TrafficCounts = { accepted: 0, refused: 0 };
  readonly #client: Client;
  readonly #apiKey: string;
  #ticker: NodeJS.Timeout | undefined;
  #burster: NodeJS.Timeout | undefined;
  #underWay = new Set<Promise<void>>();

  constructor(url: string, apiKey: string) {
    this.#client = new Client(url, { pipelining: 1 });
    this.#apiKey = apiKey;
  }

  start(): void {
    this.#ticker = setInterval(() => {
      for (const tenant of CAST) if (Math.random() < (tenant.rate * TICK_MS) / 1000) this.#send(tenant);
    }, TICK_MS);
    this.#burst();
    this.#burster = setInterval(() => this.#burst(), BURST_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearInterval(this.#ticker);
    clearInterval(this.#burster);
    await Promise.all(this.#underWay);
    await this.#client.close();
  }

  /** A broadcast of the shop, sent as one batch: the loud neighbour that must not hold the others up. */
  #burst(): void {
    const shop = CAST.at(-1);
    if (shop === undefined) return;
    const messages = Array.from({ length: BURST_SIZE }, (_, index) => message(shop, index));
    this.#track(this.#post('/v1/messages/batch', { messages }, BURST_SIZE));
  }

  #send(tenant: DemoTenant): void {
    this.#track(this.#post('/v1/messages', message(tenant, Math.floor(Math.random() * tenant.customers.length)), 1));
  }

  #track(work: Promise<void>): void {
    this.#underWay.add(work);
    void work.finally(() => this.#underWay.delete(work));
  }

  async #post(path: string, body: unknown, size: number): Promise<void> {
    try {
      const response = await this.#client.request({
        method: 'POST',
        path,
        headers: { authorization: `Bearer ${this.#apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      await response.body.dump();
      if (response.statusCode < 300) this.counts.accepted += size;
      else this.counts.refused += size;
    } catch {
      this.counts.refused += size; // the program is stopping
    }
  }
}

function message(tenant: DemoTenant, index: number) {
  const customer = tenant.customers[index % tenant.customers.length];
  return {
    tenant: tenant.id,
    to: customer?.phone,
    type: 'text',
    text: { body: lineFor(tenant, customer?.name ?? '') },
    priority: tenant.priority,
  };
}
