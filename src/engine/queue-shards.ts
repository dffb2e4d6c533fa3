import { UnknownSenderError } from './contract.ts';
import { DueTimer } from './due-timer.ts';
import { ambiguousArgs, type EngineOptions } from './options.ts';
import { asked, type ScriptArg, type ScriptRunner } from './script-runner.ts';

/** The shards of a queue: which sender lies where, the scripts that run there, and the timers that their replies ask for. */
export class QueueShards {
  readonly #count: number;
  readonly #runner: ScriptRunner;
  readonly #options: EngineOptions;
  readonly #timers: readonly DueTimer[];
  readonly #known = new Map<string, number>();

  constructor(count: number, runner: ScriptRunner, options: EngineOptions) {
    this.#count = count;
    this.#runner = runner;
    this.#options = options;
    this.#timers = this.each((shard) => new DueTimer(() => void this.#tick(shard)));
  }

  /** Senders that were placed, and their shards. */
  get known(): ReadonlyMap<string, number> {
    return this.#known;
  }

  /** The sender lies on this shard. */
  place(sender: string, shard: number): void {
    this.#known.set(sender, shard);
  }

  /** The shard of a sender. @throws UnknownSenderError when it was not placed and there is a choice */
  of(sender: string): number {
    const shard = this.#known.get(sender);
    if (shard !== undefined) return shard;
    if (this.#count === 1) return 0;
    throw new UnknownSenderError(sender);
  }

  each<T>(make: (shard: number) => T): T[] {
    return Array.from({ length: this.#count }, (_, shard) => make(shard));
  }

  /** Asks all shards at once, so that they share a trip and an fsync. */
  async onEach<T>(work: (shard: number) => Promise<T>): Promise<T[]> {
    return await Promise.all(this.each(work));
  }

  /** Runs a script and arms the timer that its reply asks for. @throws AppError `QUEUE_UNAVAILABLE`, `QUEUE_FULL` */
  async run(name: Parameters<ScriptRunner['run']>[0], shard: number, args: readonly ScriptArg[]): Promise<unknown[]> {
    return await asked(this.#runAndArm(name, shard, args));
  }

  /** @param dueMs as the scripts reply it */
  arm(shard: number, dueMs: number): void {
    ofShard(this.#timers, shard).arm(dueMs);
  }

  close(): void {
    for (const timer of this.#timers) timer.close();
  }

  async #runAndArm(name: Parameters<ScriptRunner['run']>[0], shard: number, args: readonly ScriptArg[]) {
    const reply = (await this.#runner.run(name, shard, args)) as unknown[];
    // What only looks replies no time.
    if (name !== 'inspect' && name !== 'look') this.arm(shard, Number(reply[0]));
    return reply;
  }

  async #tick(shard: number): Promise<void> {
    const [waitMs] = ambiguousArgs(this.#options);
    try {
      const [due] = await this.run('tick', shard, [waitMs, this.#options.sendTimeoutMs]);
      this.arm(shard, Number(due));
    } catch {
      // Redis is away: a worker's heartbeat finds what is overdue when it is back.
    }
  }
}

export function ofShard<T>(all: readonly T[], shard: number): T {
  const found = all[shard];
  if (found === undefined) throw new RangeError(`shard ${shard} of ${all.length} does not exist`);
  return found;
}
