import { type Evicted, touches } from './evicted.ts';
import type { Found } from './found.ts';

/** Work on a value of the cache. */
export interface Flight {
  /** Something was evicted meanwhile: the result goes to those who wait and is not kept. */
  readonly isVoid: boolean;
}

interface SharedFlight {
  promise: Promise<Found>;
  isVoid: boolean;
  readonly tags: readonly string[];
}

/** Work that is not shared; which tags its value carries is not known before it is read. */
interface Watch {
  isVoid: boolean;
  readonly key: string;
}

const NEVER = new Promise<never>(() => undefined);

/** The work of this process that is under way: shared by all who ask for a key, and made void by evictions. */
export class Flights {
  readonly #shared = new Map<string, SharedFlight>();
  readonly #watched = new Set<Watch>();

  /** What the work under way for the key finds; begins `work` when there is none. */
  async share(key: string, tags: readonly string[], work: (flight: Flight) => Promise<Found>): Promise<Found> {
    const running = this.#shared.get(key);
    if (running !== undefined) return { value: (await running.promise).value, source: 'shared' };
    const flight: SharedFlight = { promise: NEVER, isVoid: false, tags };
    this.#shared.set(key, flight);
    flight.promise = work(flight);
    try {
      return await flight.promise;
    } finally {
      if (this.#shared.get(key) === flight) this.#shared.delete(key);
    }
  }

  /** Runs work that is not shared but whose result must not be kept when something is evicted meanwhile. */
  async watch<T>(key: string, work: (flight: Flight) => Promise<T>): Promise<T> {
    const watch: Watch = { isVoid: false, key };
    this.#watched.add(watch);
    try {
      return await work(watch);
    } finally {
      this.#watched.delete(watch);
    }
  }

  /** Makes void what an eviction touches; who asks from now on does not share it. */
  evict(evicted: Evicted): void {
    for (const [key, flight] of this.#shared) {
      if (!touches(evicted, key, flight.tags)) continue;
      flight.isVoid = true;
      this.#shared.delete(key);
    }
    for (const watch of this.#watched) {
      if (evicted.kind !== 'keys' || touches(evicted, watch.key, [])) watch.isVoid = true;
    }
  }
}
