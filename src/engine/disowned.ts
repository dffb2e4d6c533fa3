import { shardPrefix, WORKER_GROUP } from './keys.ts';
import type { ScriptRunner } from './script-runner.ts';

/** Per look: more come with the next. */
const BATCH = 32;

/**
 * Finds what stands under a living worker's name and what it knows nothing of. Its heart beats, so nobody else takes it
 * over. That is so after a replica that lagged took the place of its master: the worker had begun and settled it, and
 * the settlement is forgotten.
 */
export class Disowned {
  readonly #runner: ScriptRunner;
  readonly #shard: number;
  readonly #worker: string;
  #seen = new Set<string>();

  constructor(runner: ScriptRunner, shard: number, worker: string) {
    this.#runner = runner;
    this.#shard = shard;
    this.#worker = worker;
  }

  /**
   * @param isHeld is this entry in the worker's hands
   * @returns entries that were not at two looks in a row: a reply that is on its way has arrived by then
   */
  async look(isHeld: (entry: string) => boolean): Promise<string[]> {
    const stream = `${shardPrefix(this.#shard)}out`;
    const { client } = this.#runner;
    const reply = await client.call('XPENDING', stream, WORKER_GROUP, '-', '+', BATCH, this.#worker);
    const strange = (reply as [string][]).map(([entry]) => entry).filter((entry) => !isHeld(entry));
    const again = strange.filter((entry) => this.#seen.has(entry));
    this.#seen = new Set(strange);
    return again;
  }
}
