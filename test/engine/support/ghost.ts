import { decodeGrants } from '../../../src/engine/grants.ts';
import type { Grant } from '../../../src/engine/contract.ts';
import { ENGINE_DEFAULTS, type EngineOptions } from '../../../src/engine/options.ts';
import type { Bench } from './bench.ts';

/** A worker that takes, begins when told to, and is then never heard of again: what a SIGKILL leaves behind. */
export class Ghost {
  readonly #bench: Bench;
  readonly #name: string;
  readonly #engine: EngineOptions;

  constructor(bench: Bench, name: string, engine: Partial<EngineOptions> = {}) {
    this.#bench = bench;
    this.#name = name;
    this.#engine = { ...ENGINE_DEFAULTS, ...engine };
  }

  async take(count: number): Promise<Grant[]> {
    await this.#bench.queue.runner.run('beat', 0, [this.#name, this.#engine.startByMs, 0]);
    const [, , , entry, flat] = await this.#exchange(count, []);
    return decodeGrants(0, entry, flat);
  }

  async begin(grants: readonly Grant[]): Promise<void> {
    const entries = [...new Set(grants.map(({ entry }) => entry))];
    // However late it is: only a live worker would have given it back.
    const [, begun] = await this.#exchange(0, entries, 60_000);
    if (begun.some((one) => one !== 1)) throw new Error('the ghost came too late to begin');
  }

  async #exchange(
    count: number,
    begins: readonly string[],
    startByMs = this.#engine.startByMs,
  ): Promise<[number, number[], number[], string, string[]]> {
    const { ambiguousWaitMs, sendTimeoutMs } = this.#engine;
    const times = [startByMs, ambiguousWaitMs, 'resend', sendTimeoutMs];
    // As many slots as it takes: it is never idle, so nothing is put into its mailbox.
    const args = [this.#name, count, count, '0', ...times, begins.length, ...begins, 0];
    return (await this.#bench.queue.runner.run('exchange', 0, args)) as [number, number[], number[], string, string[]];
  }
}
