import { BeatWatch } from './beat-watch.ts';
import { sweepClaims } from './claim-sweep.ts';
import { whenReady } from './connection.ts';
import type { Exchanges } from './exchanges.ts';
import { shardPrefix } from './keys.ts';
import type { LinkParts } from './link-parts.ts';
import { ambiguousArgs } from './options.ts';

/*
 * What a worker does for its shard beside sending: it shows that it lives, and what is left over goes on, of calls whose
 * reply was lost, of leases that nobody renewed, of workers that are dead.
 */

const BEAT_MS = 500;
const BEATS_MAX = 8; // under way at once, where the link is slow: others count that they come, not how long they took
const GIVEN_UP_MAX = 32; // entries per script

export interface UpkeepPorts extends LinkParts {
  readonly exchanges: Pick<Exchanges, 'heed' | 'lookAtTimers' | 'slots'>;
}

export class Upkeep {
  readonly #ports: UpkeepPorts;
  readonly #watch: BeatWatch;
  #next: NodeJS.Timeout | undefined;
  #beatsUnderWay = 0;
  #isTidying = false;
  #sweptAtMs = performance.now();
  #closed = false;

  constructor(ports: UpkeepPorts) {
    this.#ports = ports;
    this.#watch = new BeatWatch(ports.worker);
  }

  /** Beats go at their own pace, whatever else has to be done and however long each takes: they are what others judge by. */
  start(): void {
    this.#next = setTimeout(() => {
      this.start();
      if (this.#beatsUnderWay >= BEATS_MAX) return;
      this.beat().catch(() => undefined); // Redis is away: the next beat comes anyway
    }, BEAT_MS);
  }

  /** One heartbeat; what it finds to tidy up goes on beside it. @throws the client's own error */
  async beat(): Promise<void> {
    const { runner, shard, worker, startBy, exchanges, held } = this.#ports;
    // What others hold and did not begin within twice our time goes back, too: where only their link is slow, we are quicker.
    const args = [worker, startBy.ms, exchanges.slots(), ...held.toRenew()];
    this.#beatsUnderWay += 1;
    const told = runner.run('beat', shard, args).finally(() => (this.#beatsUnderWay -= 1));
    const [due, beats, holders] = (await told) as [number, string[], string[]];
    exchanges.heed(due);
    const dead = this.#watch.observe(beats, holders, performance.now());
    if (this.#isTidying || this.#closed) return; // the dead stay dead, and are seen again
    this.#isTidying = true;
    void this.#tidy(dead)
      .catch(() => undefined) // Redis is away: the next beat brings it again
      .finally(() => (this.#isTidying = false));
  }

  /** What was taken by calls whose reply was lost goes to others, or comes again. */
  async returnUnheard(): Promise<void> {
    await this.#giveUp('unheard', await this.#ports.leases.unheard(this.#ports.held.has));
  }

  /** Beats no more. */
  stop(): void {
    this.#closed = true;
    clearTimeout(this.#next);
  }

  /**
   * Spares the others the wait for a heartbeat that stands still, and what was never sent the doubt. Without it nothing
   * is lost.
   * @param unwanted entries that came when nobody wanted them any more
   */
  async goodbye(unwanted: readonly string[], timeoutMs: number): Promise<void> {
    const { runner, shard, worker } = this.#ports;
    if (!(await whenReady(runner.client, timeoutMs))) return;
    await this.#giveUp('unheard', unwanted);
    await this.returnUnheard();
    const beat = await runner.client.hget(`${shardPrefix(shard)}hb`, worker);
    await this.#takeOver(worker, beat ?? '');
  }

  async #tidy(deadWorkers: readonly { worker: string; beat: string }[]): Promise<void> {
    const { runner, shard, worker, engine, leases, held } = this.#ports;
    for (const dead of deadWorkers) await this.#takeOver(dead.worker, dead.beat);
    await this.returnUnheard();
    const now = performance.now();
    if (now - this.#sweptAtMs < engine.claimIdleMs / 3) return;
    this.#sweptAtMs = now;
    await sweepClaims(runner, shard, worker, engine.claimIdleMs);
    await this.#giveUp('disowned', await leases.disowned(held.has));
  }

  /** Takes over a batch of what a worker left that is dead or leaves. */
  async #takeOver(worker: string, beat: string): Promise<void> {
    await this.#reclaim(worker, beat, []);
  }

  /** Gives up entries under its own name, all of them. */
  async #giveUp(why: 'unheard' | 'disowned', entries: readonly string[]): Promise<void> {
    for (let from = 0; from < entries.length; from += GIVEN_UP_MAX) {
      await this.#reclaim(this.#ports.worker, '', [why, ...entries.slice(from, from + GIVEN_UP_MAX)]);
    }
  }

  async #reclaim(worker: string, beat: string, own: readonly string[]): Promise<void> {
    const { runner, shard, engine, exchanges } = this.#ports;
    await runner.run('reclaim', shard, [worker, beat, ...ambiguousArgs(engine), engine.sendTimeoutMs, ...own]);
    exchanges.lookAtTimers();
  }
}
