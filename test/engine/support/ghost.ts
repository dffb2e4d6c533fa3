import { decodeGrants, decodeMailbox } from '../../../src/engine/grants.ts';
import type { Grant } from '../../../src/engine/contract.ts';
import { ENGINE_DEFAULTS, type EngineOptions } from '../../../src/engine/options.ts';
import type { Bench } from './bench.ts';

/** A worker that is given messages and is then never heard of again: what a SIGKILL leaves behind. */
export class Ghost {
  readonly #bench: Bench;
  readonly #name: string;
  readonly #engine: EngineOptions;
  #taken = 0;

  constructor(bench: Bench, name: string, engine: Partial<EngineOptions> = {}) {
    this.#bench = bench;
    this.#name = name;
    this.#engine = { ...ENGINE_DEFAULTS, ...engine };
  }

  /** Takes: as far as anybody knows, it is sending them. @param call the number of its call */
  async take(count: number, call = 1): Promise<Grant[]> {
    const { startByMs, ambiguousWaitMs, sendTimeoutMs } = this.#engine;
    await this.#beat(0);
    this.#taken += count;
    // As many slots as it has taken: it is never idle, so nothing is put into its mailbox.
    const times = [startByMs, ambiguousWaitMs, 'resend', sendTimeoutMs];
    const reply = await this.#bench.queue.runner.run('exchange', 0, [
      this.#name,
      this.#taken,
      count,
      '0',
      ...times,
      call,
      0,
      0,
    ]);
    const [, , , entry, flat] = reply as [number, number[], number[], string, string[]];
    return decodeGrants(0, entry, flat);
  }

  /** Waits for messages: what is accepted next goes into its mailbox. */
  async wait(slots: number): Promise<void> {
    await this.#beat(slots);
  }

  /** What its mailbox brought, which it never begins. */
  async received(): Promise<Grant[]> {
    const item = await this.#bench.client.lpopBuffer(`{wx:0}m:${this.#name}`);
    return item === null ? [] : decodeMailbox(0, item);
  }

  async #beat(slots: number): Promise<void> {
    await this.#bench.queue.runner.run('beat', 0, [this.#name, this.#engine.startByMs, slots]);
  }
}
