import { ShardRoom } from './shard-room.ts';

/** What gives a place back. */
export type Leave = () => void;

interface Waiting {
  readonly resolve: (hasPlace: boolean) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Limits of one worker process over all its senders (WORKER_CONCURRENCY, GLOBAL_RATE_PER_SECOND, GLOBAL_CONCURRENCY).
 *
 * The engine is told how much room there is, so that little is taken that has to wait. It cannot know more than that:
 * several shards hear of the same room at once, and what one call settles makes place for what it takes, but no room in
 * the rate. So each message also passes here before it is sent, in the order of arrival.
 */
export class ProcessGate {
  readonly #placesMax: number;
  readonly #ratePerSecond: number;
  readonly #burst: number;
  readonly #room: ShardRoom;
  readonly #onTurns: () => void;
  readonly #now: () => number;
  /** Below zero: as many have a turn that is yet to come. */
  #tokens: number;
  #refilledAtMs: number;
  #open = 0;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param options.placesMax messages in work at once, ≥ 1
   * @param options.ratePerSecond messages started per second; 0 = no limit
   * @param options.shards that share the room; default 1
   * @param options.now monotonic clock, ms; tests inject one
   * @param options.onRoom called when there is room for a shard that was told of too little
   */
  constructor(options: {
    placesMax: number;
    ratePerSecond: number;
    shards?: number;
    onRoom: (shard: number) => void;
    now?: () => number;
  }) {
    const { placesMax, ratePerSecond, shards = 1, onRoom, now = () => performance.now() } = options;
    this.#now = now;
    this.#refilledAtMs = now();
    this.#placesMax = placesMax;
    this.#ratePerSecond = ratePerSecond;
    // A tenth of a second's worth: small against the second that providers count in.
    this.#burst = Math.max(1, Math.floor(ratePerSecond / 10));
    this.#tokens = this.#burst;
    this.#room = new ShardRoom(placesMax, shards, onRoom);
    this.#onTurns = () => {
      for (let shard = 0; shard < shards; shard += 1) onRoom(shard);
    };
  }

  /** Taken, and not settled yet. */
  get inWork(): number {
    return this.#room.inWork;
  }

  /**
   * Slots of one shard as the engine counts them: what is in work, plus its share of the room. Less than what is in
   * work where there is too much of it.
   * @param leaving of what it has in work, that whose settlements reach the engine no later than this number
   */
  slotsFor(shard: number, leaving: number): number {
    const slots = this.#room.slotsFor(shard, leaving);
    if (this.#ratePerSecond <= 0) return slots;
    this.#refill();
    const allowed = this.#room.heldBy(shard) - leaving + this.#room.share(Math.floor(this.#tokens));
    if (allowed < slots) this.#arm();
    return Math.max(0, Math.min(slots, allowed));
  }

  took(shard: number, count: number): void {
    this.#room.took(shard, count);
  }

  /** One of them is settled. */
  done(shard: number): void {
    this.#room.done(shard);
  }

  /**
   * Waits for a turn and a place. To be called in the order in which the messages came.
   * @param untilMs longest, on the monotonic clock
   * @returns what gives the place back when the attempt is over; null = it cannot start in time
   */
  async enter(untilMs: number): Promise<Leave | null> {
    if (!(await this.#turn(untilMs)) || !(await this.#place(untilMs))) return null;
    return () => {
      this.#leave();
    };
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  async #turn(untilMs: number): Promise<boolean> {
    if (this.#ratePerSecond <= 0) return true;
    this.#refill();
    this.#tokens -= 1;
    if (this.#tokens >= 0) return true;
    const waitMs = (-this.#tokens / this.#ratePerSecond) * 1000;
    if (this.#now() + waitMs > untilMs) {
      this.#tokens += 1;
      return false;
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    return true;
  }

  async #place(untilMs: number): Promise<boolean> {
    if (this.#open < this.#placesMax) {
      this.#open += 1;
      return true;
    }
    return await new Promise((resolve) => {
      const giveUp = () => {
        this.#waiting.delete(waiting);
        resolve(false);
      };
      const waiting = { resolve, timer: setTimeout(giveUp, Math.max(0, untilMs - this.#now())) };
      this.#waiting.add(waiting);
    });
  }

  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#open -= 1;
      return;
    }
    this.#waiting.delete(next);
    clearTimeout(next.timer);
    next.resolve(true);
  }

  #refill(): void {
    const now = this.#now();
    const gained = ((now - this.#refilledAtMs) / 1000) * this.#ratePerSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#refilledAtMs = now;
  }

  /** For the next whole token that can be given away. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    const missing = this.#tokens < 1 ? 1 - this.#tokens : 1 - (this.#tokens % 1);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#onTurns();
      },
      Math.ceil((missing * 1000) / this.#ratePerSecond),
    );
    this.#timer.unref();
  }
}
