/** A worker that did not beat for this long is dead. Leases that were not begun do not wait for it. */
export const DEAD_AFTER_MS = 4000;
/**
 * What one look counts for, at most. Time in which nobody could beat or look (Redis was away, this process stood
 * still) proves nothing: without this bound the first look after such a time declared everybody dead.
 */
const LOOK_MS_MAX = 1000;

interface Seen {
  beat: string;
  /** On this process's monotonic clock: a clock step on Redis or here must not make live work look dead. */
  stillMs: number;
}

/** Judges from heartbeats, on the observer's own clock, which workers are dead. */
export class BeatWatch {
  readonly #self: string;
  readonly #seen = new Map<string, Seen>();
  #lookedAtMs = 0;

  constructor(self: string) {
    this.#self = self;
  }

  /**
   * @param beats worker, beat, … as the shard has them
   * @param holders workers with pending entries; one without a beat counts as still
   * @returns the dead, each with the beat that was seen last ('' = none)
   */
  observe(beats: readonly string[], holders: readonly string[], nowMs: number): { worker: string; beat: string }[] {
    const current = new Map<string, string>(holders.map((worker) => [worker, '']));
    for (let i = 0; i + 1 < beats.length; i += 2) current.set(String(beats[i]), String(beats[i + 1]));
    for (const worker of this.#seen.keys()) if (!current.has(worker)) this.#seen.delete(worker);
    const lookMs = Math.min(nowMs - this.#lookedAtMs, LOOK_MS_MAX);
    this.#lookedAtMs = nowMs;
    const dead = [];
    for (const [worker, beat] of current) {
      if (worker === this.#self) continue;
      const seen = this.#seen.get(worker);
      if (seen?.beat !== beat) this.#seen.set(worker, { beat, stillMs: 0 });
      else if ((seen.stillMs += lookMs) >= DEAD_AFTER_MS) dead.push({ worker, beat });
    }
    return dead;
  }
}
