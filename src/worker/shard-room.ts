interface Shard {
  /** Messages in work. */
  held: number;
  /** Slots that it was told last. */
  told: number;
}

/**
 * The places of one worker process, shared over its shards.
 *
 * A shard refills what it settles, so one with a backlog would keep all places for ever. Each may therefore have one
 * message, also where there is no place left; and while a shard has all that it was told and that is less than its part,
 * those with more than theirs do not refill.
 */
export class ShardRoom {
  readonly #placesMax: number;
  readonly #shards: readonly Shard[];
  readonly #part: number;
  readonly #onRoom: (shard: number) => void;
  #inWork = 0;

  /**
   * @param placesMax messages in work at once, ≥ 1
   * @param shards how many, ≥ 1
   * @param onRoom called when there is room for a shard that was told of too little
   */
  constructor(placesMax: number, shards: number, onRoom: (shard: number) => void) {
    this.#placesMax = placesMax;
    this.#shards = Array.from({ length: shards }, () => ({ held: 0, told: 0 }));
    this.#part = Math.max(1, Math.floor(placesMax / shards));
    this.#onRoom = onRoom;
  }

  /** Taken, and not settled yet. */
  get inWork(): number {
    return this.#inWork;
  }

  heldBy(shard: number): number {
    return this.#of(shard).held;
  }

  took(shard: number, count: number): void {
    this.#of(shard).held += count;
    this.#inWork += count;
  }

  /** One of them is settled. */
  done(shard: number): void {
    this.#of(shard).held -= 1;
    this.#inWork -= 1;
    if (this.#inWork >= this.#placesMax) return;
    this.#shards.forEach((of, other) => {
      if (!this.#wantsMore(of)) return;
      of.told = this.#part; // once; how much there is it hears when it asks
      this.#onRoom(other);
    });
  }

  /**
   * What it has in work, and its share of the room. Less than what it has where too much is in work, or where another
   * wants its part.
   * @param leaving of what it has, that whose settlements reach the engine no later than this number
   */
  slotsFor(shard: number, leaving: number): number {
    const of = this.#of(shard);
    const slots = Math.max(1, of.held + this.share(this.#placesMax - this.#inWork));
    const yields = this.#shards.some((one) => one !== of && this.#wantsMore(one));
    of.told = yields ? Math.min(slots, Math.max(this.#part, of.held - leaving)) : slots;
    return of.told;
  }

  /** One shard's share of something that all of them hear of at once; at least one of it. */
  share(room: number): number {
    return room <= 0 ? room : Math.max(1, Math.floor(room / this.#shards.length));
  }

  /** Perhaps: it has all that it was told. */
  #wantsMore({ held, told }: Shard): boolean {
    return held > 0 && held >= told && told < this.#part;
  }

  #of(shard: number): Shard {
    const of = this.#shards[shard];
    if (of === undefined) throw new RangeError(`there is no shard ${shard}`);
    return of;
  }
}
