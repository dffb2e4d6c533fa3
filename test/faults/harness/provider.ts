import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { Child } from './child.ts';
import type { FromProvider, LedgerEnd, LedgerSend, ProviderPlan, ToProvider } from './protocol.ts';

/** One request as the provider saw it, from its arrival to its end. */
export interface LedgerEntry extends LedgerSend {
  /** Number of the attempt by its tag. */
  readonly attempt: number;
  readonly messageId: string;
  readonly endAtMs: number | null;
  /** Did a whole and trustworthy answer leave the provider. */
  readonly answered: boolean;
}

let providers = 0;

/** The fake provider's process, its plan and its ledger. */
export class FakeProvider {
  readonly process: Child<FromProvider, ToProvider>;
  readonly port: number;
  readonly #ledgerPath: string;
  #plan: ProviderPlan;
  #asked = 0;

  private constructor(child: Child<FromProvider, ToProvider>, port: number, ledgerPath: string, plan: ProviderPlan) {
    this.process = child;
    this.port = port;
    this.#ledgerPath = ledgerPath;
    this.#plan = plan;
  }

  static async start(plan: ProviderPlan): Promise<FakeProvider> {
    providers += 1;
    const ledgerPath = join(inject('waxwingRunFolder'), `ledger-${process.pid}-${providers}.jsonl`);
    const child = await Child.start<FromProvider, ToProvider>({ program: 'provider', argument: { ledgerPath } });
    const { port } = await child.next('ready');
    const provider = new FakeProvider(child, port, ledgerPath, plan);
    await provider.change({});
    return provider;
  }

  /** As a sender's account has it. */
  get apiUrl(): string {
    return `http://127.0.0.1:${this.port}/v23.0`;
  }

  /** Changes what happens from the next request on, and resolves when it is so. */
  async change(part: Partial<ProviderPlan>): Promise<void> {
    this.#plan = { ...this.#plan, ...part };
    this.process.send({ type: 'plan', plan: this.#plan });
    await this.count();
  }

  /** Names the processes that the action `take-kill` may end. */
  allowKilling(pids: readonly number[]): void {
    this.process.send({ type: 'killable', pids });
  }

  /** Refuses connections (false) or takes them again (true). */
  async listen(on: boolean): Promise<void> {
    await this.#ask((id) => ({ type: 'listen', on, id }));
  }

  async count(): Promise<{ readonly sends: number; readonly taken: number }> {
    return await this.#ask((id) => ({ type: 'count', id }));
  }

  ledger(): LedgerEntry[] {
    const sends: LedgerSend[] = [];
    const ends = new Map<number, LedgerEnd>();
    for (const text of readFileSync(this.#ledgerPath, 'utf8').split('\n')) {
      if (text === '') continue;
      const line = JSON.parse(text) as LedgerSend | LedgerEnd;
      if (line.kind === 'send') sends.push(line);
      else ends.set(line.n, line);
    }
    return sends.map((send) => {
      const [, messageId = '', attempt = '0'] = send.tag.split('.');
      const end = ends.get(send.n);
      return {
        ...send,
        messageId,
        attempt: Number(attempt),
        endAtMs: end?.atMs ?? null,
        answered: end?.answered ?? false,
      };
    });
  }

  async close(): Promise<void> {
    await this.process.close();
  }

  async #ask(question: (id: number) => ToProvider): Promise<{ sends: number; taken: number }> {
    this.#asked += 1;
    const id = this.#asked;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        off();
        reject(new Error(`The fake provider is silent. ${this.process.errors}`));
      }, 10_000);
      const off = this.process.on((message) => {
        if (message.type !== 'done' || message.id !== id) return;
        clearTimeout(timer);
        off();
        resolve(message);
      });
      this.process.send(question(id));
    });
  }
}
