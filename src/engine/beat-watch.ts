/** A worker that did not beat for this long is dead. Leases that were not begun do not wait for it. */
const DEAD_AFTER_MS = 4000;

interface Seen {
  beat: string;
  /** On this process's monotonic clock: a clock step on Redis or here must not make live work look dead. */
  stillSinceMs: number;
}

/** Judges from heartbeats, on the observer's own clock, which workers are dead. */
export class BeatWatch {
  readonly #self: string;
  readonly #seen = new Map<string, Seen>();

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
    const dead = [];
    for (const [worker, beat] of current) {
      if (worker === this.#self) continue;
      const seen = this.#seen.get(worker);
      if (seen?.beat !== beat) this.#seen.set(worker, { beat, stillSinceMs: nowMs });
      else if (nowMs - seen.stillSinceMs >= DEAD_AFTER_MS) dead.push({ worker, beat });
    }
    return dead;
  }
}
