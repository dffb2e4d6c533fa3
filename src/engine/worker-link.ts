import { AppError } from '../errors/app-error.ts';
import { commandClient, disconnect, type RedisClient, type RedisTarget, whenReady } from './connection.ts';
import type { Grant, SettleRequest } from './contract.ts';
import { Exchanges, type SettleResult, type Taken } from './exchanges.ts';
import { decodeGrants, decodeMailbox } from './grants.ts';
import { Held } from './held.ts';
import { shardPrefix } from './keys.ts';
import { OwnLeases } from './own-leases.ts';
import { QueueWall } from './queue-wall.ts';
import { ShardReader } from './shard-reader.ts';
import { ENGINE_DEFAULTS, type EngineOptions } from './options.ts';
import { redisFailure, ScriptRunner, type WallClock } from './script-runner.ts';
import { StartBy } from './start-by.ts';
import { Upkeep } from './upkeep.ts';

/*
 * A worker's end of one shard: what it says goes through `Exchanges`, what it is handed comes from there or from its
 * mailbox, and `Upkeep` shows that it lives.
 *
 * States of a hand-over here:  taken → sending → (settle) → gone
 *                              from the mailbox → (begin) → sending → (settle) → gone
 * Whatever cannot be told to Redis is told again until it is heard: settling is idempotent by lane, message and entry.
 */

/** For each half of a goodbye: what is not said by then, a heartbeat that stands still tells the others. */
const GOODBYE_MS = 2000;
/** A worker that finds no Redis for this long does not start: whoever started it hears why. */
const REGISTER_MS_MAX = 10_000;
/** A Redis that reads its log refuses every command until it is done. */
const REFUSED_PAUSE_MS = 100;
export const WORKER_COMMAND_TIMEOUT_MS = 5000;

export interface WorkerLinkOptions extends Partial<EngineOptions> {
  readonly redis: RedisTarget;
  /** A connection that links share, left open: on a cluster all shards' commands go over one. Default: an own one. */
  readonly commands?: RedisClient;
  readonly shard: number;
  /** Unique for each start of a process. */
  readonly worker: string;
  /**
   * Messages in work at once; a function when it changes (then call `takeMore()` when it grows). It is told how many of
   * them are being settled: the engine will have heard of these when it reads the number.
   */
  readonly slots: number | ((leaving: number) => number);
  /** Longest blocking read, WA_STREAM_BLOCK_MS: a safety net, nothing is timed by it. */
  readonly blockMs?: number;
  readonly clock?: WallClock;
  readonly onGrants: (grants: Grant[]) => void;
  /** Told when Redis cannot be reached and when it can again. */
  readonly onConnection?: (connected: boolean) => void;
}

/** Waits for it, but not longer; whether it fails does not matter. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}

export class WorkerLink {
  readonly #options: WorkerLinkOptions;
  readonly #commands: RedisClient;
  readonly #ownsCommands: boolean;
  readonly #mailbox: ShardReader;
  readonly #blockMs: number;
  readonly #startBy: StartBy;
  readonly #wall = new QueueWall();
  readonly #held = new Held();
  readonly #exchanges: Exchanges;
  readonly #upkeep: Upkeep;
  readonly runner: ScriptRunner;
  /** Entries that came when nobody wanted them any more. */
  readonly #unwanted: string[] = [];
  #stopping = false;
  #leaving = false;

  constructor(options: WorkerLinkOptions) {
    const engine = { ...ENGINE_DEFAULTS, ...options };
    const { redis, shard, worker, slots } = options;
    this.#options = options;
    this.#commands = options.commands ?? commandClient(redis, WORKER_COMMAND_TIMEOUT_MS);
    this.#ownsCommands = options.commands === undefined;
    this.#blockMs = options.blockMs ?? 5000;
    this.#mailbox = new ShardReader(redis, shard, this.#blockMs);
    this.#startBy = new StartBy(engine.startByMs);
    this.runner = new ScriptRunner(this.#commands, options.clock);
    const leases = new OwnLeases(this.runner, shard, worker);
    const { runner } = this;
    const shared = {
      runner,
      shard,
      worker,
      engine,
      held: this.#held,
      leases,
      startBy: this.#startBy,
      wall: this.#wall,
    };
    this.#exchanges = new Exchanges({
      ...shared,
      slots,
      onTaken: (taken) => {
        this.#taken(taken);
      },
      onBack: () => this.#upkeep.returnUnheard().catch(() => undefined), // a beat tries again
    });
    this.#upkeep = new Upkeep({ ...shared, exchanges: this.#exchanges });
    this.#commands.on('ready', () => {
      options.onConnection?.(true);
      this.#exchanges.take();
    });
    this.#commands.on('close', () => options.onConnection?.(false));
  }

  get shard(): number {
    return this.#options.shard;
  }

  /** Within this a hand-over has to begin, from when this worker asked for it or got it by mail: 100 ms, more where calls take long. */
  get startByMs(): number {
    return this.#startBy.ms;
  }

  /** The queue's wall clock, by which messages expire; epoch ms. */
  wallMs(): number {
    return this.#wall.nowMs();
  }

  /** Registers the worker and begins to take. @throws AppError `QUEUE_UNAVAILABLE` when Redis cannot be reached within 10 s */
  async start(): Promise<void> {
    await this.#register();
    this.#upkeep.start();
    void this.#readMailbox();
    this.#exchanges.take();
  }

  /** The first beat. A Redis that ends between its greeting and the beat is waited for like one that was not there. */
  async #register(): Promise<void> {
    const giveUpAtMs = performance.now() + REGISTER_MS_MAX;
    let heard: unknown;
    while (performance.now() < giveUpAtMs && (await whenReady(this.#commands, giveUpAtMs - performance.now()))) {
      try {
        await this.#upkeep.beat();
        return;
      } catch (error) {
        if (redisFailure(error) === null) throw error;
        heard = error;
        await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
      }
    }
    throw new AppError('QUEUE_UNAVAILABLE', { cause: heard });
  }

  /**
   * To be called before the first byte of a hand-over leaves: then it is marked as sending, on disk. What this worker
   * took itself has been since the take; what came through the mailbox is marked now.
   * @returns false when it came too late: nothing of it may be sent, and each message is to be settled as `unstarted`
   */
  begin(entry: string): Promise<boolean> {
    const askedAtMs = this.#held.askedAtMs(entry);
    if (askedAtMs === undefined) return this.#exchanges.begin(entry);
    return Promise.resolve(performance.now() - askedAtMs <= this.startByMs);
  }

  /** Records an outcome. Repeats until Redis has heard it, so it resolves late while Redis is away, and never rejects. */
  settle(request: SettleRequest): Promise<SettleResult> {
    return this.#exchanges.settle(request);
  }

  /** Opens the circuit of a sender of this shard, unless it is open already; its credential failed with others. */
  async openCircuit(sender: string, openMs: number): Promise<void> {
    await this.runner.run('control', this.shard, ['open-circuit', sender, Math.round(openMs)]);
    this.#exchanges.lookAtTimers(); // hears of the timer that it set
  }

  /** Asks the engine again: there is more room than it was told. */
  takeMore(): void {
    this.#exchanges.take();
  }

  /** Takes no more; what is in work can still be settled. Resolves when everything that was asked for has come. */
  async stopTaking(): Promise<void> {
    this.#stopping = true;
    this.#mailbox.close();
    await this.#exchanges.stopTaking();
  }

  /** Leaves. Call it when everything is settled. */
  async close(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    await within(GOODBYE_MS, this.stopTaking());
    this.#exchanges.close();
    this.#upkeep.stop();
    await within(GOODBYE_MS, this.#upkeep.goodbye(this.#unwanted, GOODBYE_MS));
    this.#mailbox.close();
    if (this.#ownsCommands) disconnect(this.#commands);
  }

  #taken({ entry, out, askedAtMs }: Taken): void {
    if (this.#leaving) this.#unwanted.push(entry);
    else this.#hand(decodeGrants(this.shard, entry, out), askedAtMs);
  }

  #hand(grants: Grant[], askedAtMs?: number): void {
    const [first] = grants;
    if (first === undefined) return;
    this.#held.add(first.entry, grants.length, askedAtMs);
    this.#options.onGrants(grants);
  }

  async #readMailbox(): Promise<void> {
    const key = `${shardPrefix(this.shard)}m:${this.#options.worker}`;
    const blockSeconds = this.#blockMs / 1000;
    while (!this.#stopping) {
      if (!(await this.#mailbox.whenReady(1000))) continue;
      const item = (await this.#mailbox.read('BLPOP', key, blockSeconds).catch(() => null)) as [Buffer, Buffer] | null;
      if (item !== null) this.#hand(decodeMailbox(this.shard, item[1]));
    }
  }
}
