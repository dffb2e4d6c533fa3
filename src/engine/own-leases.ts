import { shardPrefix, WORKER_GROUP } from './keys.ts';
import type { ScriptRunner } from './script-runner.ts';

/** Entries per XPENDING; a look goes on until it has seen all. */
const PAGE = 100;
const PAGES_MAX = 20;
/** A call whose reply was lost runs within seconds of the line's return, or never: it waits in a socket at most. */
const REMEMBER_LOST_MS = 60_000;

/**
 * Finds what stands under a living worker's name and is not in its hands. Its heart beats, so nobody else takes it over.
 *
 * - `unheard`: taken by a call whose reply never came. No byte of it was sent; it can go again at once.
 * - `disowned`: the worker knows nothing of it any more. That is so after a replica that lagged took the place of its
 *   master: it was taken, sent and settled, and the settlement is forgotten.
 */
export class OwnLeases {
  readonly #runner: ScriptRunner;
  readonly #shard: number;
  readonly #worker: string;
  /** Numbers of calls whose reply was lost → since when they are looked for, on the monotonic clock; null = not yet. */
  readonly #lostCalls = new Map<number, number | null>();
  #seen = new Set<string>();

  constructor(runner: ScriptRunner, shard: number, worker: string) {
    this.#runner = runner;
    this.#shard = shard;
    this.#worker = worker;
  }

  /** The reply to this call will never be heard: it timed out, or its connection is gone. */
  lost(call: number): void {
    this.#lostCalls.set(call, null);
  }

  /** @returns entries that were taken by calls whose reply was lost, for a minute from the first look on */
  async unheard(isHeld: (entry: string) => boolean): Promise<string[]> {
    for (const [call, sinceMs] of this.#lostCalls) {
      if (sinceMs !== null && performance.now() - sinceMs > REMEMBER_LOST_MS) this.#lostCalls.delete(call);
    }
    const lost = [...this.#lostCalls.keys()];
    if (lost.length === 0) return [];
    const strange = await this.#strange(isHeld);
    const calls = await Promise.all(strange.map((entry) => this.#callOf(entry)));
    // Their minute begins only now: while Redis is away nobody can look, and what they took is still there when it is back.
    for (const call of lost) this.#lostCalls.set(call, this.#lostCalls.get(call) ?? performance.now());
    return strange.filter((_, index) => this.#lostCalls.has(calls[index] ?? Number.NaN));
  }

  /** @returns entries that the worker did not hold at two looks in a row: a reply that is on its way has come by then */
  async disowned(isHeld: (entry: string) => boolean): Promise<string[]> {
    const strange = await this.#strange(isHeld);
    const again = strange.filter((entry) => this.#seen.has(entry));
    this.#seen = new Set(strange);
    return again;
  }

  async #strange(isHeld: (entry: string) => boolean): Promise<string[]> {
    const strange: string[] = [];
    for (let page = 0, from = '-'; page < PAGES_MAX; page += 1) {
      const range = [from, '+', PAGE, this.#worker] as const;
      const reply = await this.#runner.client.call('XPENDING', this.#stream, WORKER_GROUP, ...range);
      const entries = (reply as [string][]).map(([entry]) => entry);
      strange.push(...entries.filter((entry) => !isHeld(entry)));
      if (entries.length < PAGE) break;
      from = `(${entries.at(-1) ?? ''}`;
    }
    return strange;
  }

  /** The number of the call that took it; NaN when it came through the mailbox, or was removed. */
  async #callOf(entry: string): Promise<number> {
    const [found] = (await this.#runner.client.call('XRANGE', this.#stream, entry, entry)) as [string, string[]][];
    const fields = found?.[1] ?? [];
    const at = fields.findIndex((name, i) => i % 2 === 0 && name === 'call');
    return at < 0 ? Number.NaN : Number(fields[at + 1]);
  }

  get #stream(): string {
    return `${shardPrefix(this.#shard)}out`;
  }
}
