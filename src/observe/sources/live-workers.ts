/** A worker beats every half second: one that stood still this long is dead, or its Redis was away. */
const DEAD_AFTER_MS = 5000;
/** Time between two looks counts for this much at most: what nobody watched proves nothing. */
const LOOK_MS_MAX = 2500;

interface Seen {
  beat: string;
  stillMs: number;
}

/**
 * Which workers live, from heartbeats that grow, on the observer's own clock. A worker that is seen for the first time
 * counts as living, so the last one's death shows five seconds after the first look.
 */
export class LiveWorkers {
  readonly #now: () => number;
  readonly #shards = new Map<number, { atMs: number; readonly seen: Map<string, Seen> }>();

  /** @param now monotonic clock, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @param beats worker → beat. @returns the living workers */
  observe(shard: number, beats: Readonly<Record<string, string>>): string[] {
    const nowMs = this.#now();
    const state = this.#shards.get(shard) ?? { atMs: nowMs, seen: new Map<string, Seen>() };
    this.#shards.set(shard, state);
    const lookMs = Math.min(nowMs - state.atMs, LOOK_MS_MAX);
    state.atMs = nowMs;
    for (const worker of state.seen.keys()) if (!(worker in beats)) state.seen.delete(worker);
    return Object.entries(beats)
      .filter(([worker, beat]) => {
        const seen = state.seen.get(worker);
        if (seen?.beat !== beat) {
          state.seen.set(worker, { beat, stillMs: 0 });
          return true;
        }
        seen.stillMs += lookMs;
        return seen.stillMs < DEAD_AFTER_MS;
      })
      .map(([worker]) => worker);
  }
}
