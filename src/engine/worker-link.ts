import { AppError } from '../errors/app-error.ts';
import { BeatWatch } from './beat-watch.ts';
import { sweepClaims } from './claim-sweep.ts';
import { commandClient, disconnect, type RedisClient, type RedisTarget, whenReady } from './connection.ts';
import type { Grant, SettleRequest } from './contract.ts';
import { DueTimer } from './due-timer.ts';
import { decodeGrants, decodeMailbox } from './grants.ts';
import { Held } from './held.ts';
import { shardPrefix } from './keys.ts';
import { OwnLeases } from './own-leases.ts';
import { ShardReader } from './shard-reader.ts';
import { ambiguousArgs, ENGINE_DEFAULTS, type EngineOptions } from './options.ts';
import { redisFailure, type ScriptArg, ScriptRunner, type WallClock } from './script-runner.ts';
import { encodeSettle } from './settle-code.ts';
import { StartBy } from './start-by.ts';

/*
 * A worker's end of one shard. Everything it tells the engine goes through one script, `exchange`: what it settles,
 * what it is about to begin, and how much it can take. Calls of one tick are joined; two may be under way at once, more
 * only when each is full: then they share an fsync.
 *
 * States of a hand-over here:  taken → sending → (settle) → gone
 *                              from the mailbox → (begin) → sending → (settle) → gone
 * Whatever cannot be told to Redis is told again until it is heard: settling is idempotent by lane, message and entry.
 */

const SETTLE_MAX = 25; // bounds one script's work; as many as one call takes, or what was taken together needs two
const BEGIN_MAX = 32;
const CALLS_MAX = 2; // one runs while the next is collected; more would only make smaller batches …
const FULL_CALLS_MAX = 8; // … unless there is enough for a whole one
const BEAT_MS = 500;
const BEATS_MAX = 8; // under way at once, where the link is slow: others count that they come, not how long they took
const GIVEN_UP_MAX = 32; // entries per script
/** For each half of a goodbye: what is not said by then, a heartbeat that stands still tells the others. */
const GOODBYE_MS = 2000;
/** A worker that finds no Redis for this long does not start: whoever started it hears why. */
const REGISTER_MS_MAX = 10_000;
/** A Redis that reads its log refuses every command until it is done. */
const REFUSED_PAUSE_MS = 100;
export const WORKER_COMMAND_TIMEOUT_MS = 5000;

export type SettleResult = 'settled' | 'evidence' | 'stale';

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

interface PendingBegin {
  readonly entry: string;
  readonly sinceMs: number;
  readonly resolve: (begun: boolean) => void;
}
interface PendingSettle {
  readonly request: SettleRequest;
  readonly resolve: (result: SettleResult) => void;
}

/** So that 52 slots at 25 a call are filled by three calls of 18, and not by two of 25 and one for the odd two. */
function evenShare(slots: number, most: number): number {
  return slots === 0 ? 0 : Math.ceil(slots / Math.ceil(slots / most));
}

/** Waits for it, but not longer; whether it fails does not matter. */
async function within(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}

export class WorkerLink {
  readonly #options: WorkerLinkOptions & EngineOptions;
  readonly #commands: RedisClient;
  readonly #mailbox: ShardReader;
  readonly #ownsCommands: boolean;
  readonly #timer: DueTimer;
  readonly #watch: BeatWatch;
  readonly #leases: OwnLeases;
  readonly #startBy: StartBy;
  readonly runner: ScriptRunner;
  #begins: PendingBegin[] = [];
  #settles: PendingSettle[] = [];
  #calls = 0;
  #lastCall = 0;
  readonly #underWay = new Set<Promise<void>>();
  #scheduled = false;
  #take = false;
  #byTimer = false;
  #stopping = false;
  #sweptAtMs = performance.now();
  /** Settlements in calls that are under way. */
  #settling = 0;
  #beatsUnderWay = 0;
  #isTidying = false;
  #leaving = false;
  #closed = false;
  #beat: NodeJS.Timeout | undefined;
  readonly #held = new Held();
  /** Entries that came when nobody wanted them any more. */
  readonly #unwanted: string[] = [];

  constructor(options: WorkerLinkOptions) {
    this.#options = { ...ENGINE_DEFAULTS, ...options };
    this.#commands = options.commands ?? commandClient(options.redis, WORKER_COMMAND_TIMEOUT_MS);
    this.#ownsCommands = options.commands === undefined;
    this.#mailbox = new ShardReader(options.redis, options.shard);
    this.runner = new ScriptRunner(this.#commands, options.clock);
    this.#watch = new BeatWatch(options.worker);
    this.#leases = new OwnLeases(this.runner, options.shard, options.worker);
    this.#startBy = new StartBy(this.#options.startByMs);
    this.#timer = new DueTimer(() => {
      this.#byTimer = true;
      this.#schedule();
    });
    this.#commands.on('ready', () => {
      options.onConnection?.(true);
      this.#take = true;
      this.#schedule();
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

  /** Registers the worker and begins to take. @throws AppError `QUEUE_UNAVAILABLE` when Redis cannot be reached within 10 s */
  async start(): Promise<void> {
    await this.#register();
    this.#armBeat();
    void this.#readMailbox();
    this.#take = true;
    this.#schedule();
  }

  /** The first beat. A Redis that ends between its greeting and the beat is waited for like one that was not there. */
  async #register(): Promise<void> {
    const giveUpAtMs = performance.now() + REGISTER_MS_MAX;
    let heard: unknown;
    while (performance.now() < giveUpAtMs && (await whenReady(this.#commands, giveUpAtMs - performance.now()))) {
      try {
        await this.#heartbeat();
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
    if (askedAtMs !== undefined) return Promise.resolve(performance.now() - askedAtMs <= this.startByMs);
    return new Promise((resolve) => {
      this.#begins.push({ entry, sinceMs: performance.now(), resolve });
      this.#schedule();
    });
  }

  /** Records an outcome. Repeats until Redis has heard it, so it resolves late while Redis is away, and never rejects. */
  settle(request: SettleRequest): Promise<SettleResult> {
    return new Promise((resolve) => {
      this.#settles.push({ request, resolve });
      this.#schedule();
    });
  }

  /** Opens the circuit of a sender of this shard, unless it is open already; its credential failed with others. */
  async openCircuit(sender: string, openMs: number): Promise<void> {
    await this.runner.run('control', this.shard, ['open-circuit', sender, Math.round(openMs)]);
    this.#byTimer = true; // hears of the timer that it set
    this.#schedule();
  }

  /** Asks the engine again: there is more room than it was told. */
  takeMore(): void {
    this.#take = true;
    this.#schedule();
  }

  /** Takes no more; what is in work can still be settled. Resolves when everything that was asked for has come. */
  async stopTaking(): Promise<void> {
    const asked = [...this.#underWay];
    this.#stopping = true;
    this.#mailbox.close();
    // Tells the engine that there are no free slots: until then accepts would still be handed to the mailbox.
    this.#take = true;
    this.#schedule();
    await Promise.all(asked);
  }

  /** Leaves. Call it when everything is settled. */
  async close(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    await within(GOODBYE_MS, this.stopTaking());
    this.#closed = true;
    clearTimeout(this.#beat);
    this.#timer.close();
    await within(GOODBYE_MS, this.#goodbye());
    this.#mailbox.close();
    if (this.#ownsCommands) disconnect(this.#commands);
  }

  /** Spares the others the wait for a heartbeat that stands still, and what was never sent the doubt. Without it nothing is lost. */
  async #goodbye(): Promise<void> {
    const { worker } = this.#options;
    if (!(await whenReady(this.#commands, GOODBYE_MS))) return;
    await this.#reclaim(worker, '', 'unheard', this.#unwanted);
    await this.#returnUnheard();
    const beat = await this.#commands.hget(`${shardPrefix(this.shard)}hb`, worker);
    await this.#reclaim(worker, beat ?? '');
  }

  #schedule(): void {
    const callsMax = this.#settles.length >= SETTLE_MAX ? FULL_CALLS_MAX : CALLS_MAX;
    if (this.#scheduled || this.#calls >= callsMax || this.#closed) return;
    if (this.#settles.length === 0 && this.#begins.length === 0 && !this.#take && !this.#byTimer) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const call = this.#exchange();
      this.#underWay.add(call);
      void call.finally(() => this.#underWay.delete(call));
    });
  }

  async #exchange(): Promise<void> {
    const settles = this.#settles.splice(0, SETTLE_MAX);
    const begins = this.#begins.splice(0, BEGIN_MAX);
    const byTimer = this.#byTimer;
    this.#byTimer = false;
    this.#take = false;
    this.#calls += 1;
    this.#settling += settles.length;
    const call = (this.#lastCall += 1);
    if (this.#settles.length > 0 || this.#begins.length > 0) this.#schedule();
    let reply: unknown;
    const askedAtMs = performance.now();
    try {
      reply = await this.runner.run('exchange', this.shard, this.#encode(call, begins, settles, byTimer));
    } catch (error) {
      this.#calls -= 1;
      this.#settling -= settles.length;
      this.#leases.lost(call);
      this.#lost(error, begins, settles, byTimer);
      this.#schedule();
      return;
    }
    // Outside the try: what was heard must not be told again because its reader failed.
    this.#calls -= 1;
    this.#settling -= settles.length;
    this.#startBy.saw(performance.now() - askedAtMs);
    this.#apply(reply as ExchangeReply, begins, settles, askedAtMs);
    this.#schedule();
  }

  #encode(
    call: number,
    begins: readonly PendingBegin[],
    settles: readonly PendingSettle[],
    byTimer: boolean,
  ): ScriptArg[] {
    const { worker, sendTimeoutMs } = this.#options;
    return [
      worker,
      this.#slots(),
      this.#stopping ? 0 : evenShare(this.#slots(), this.#options.takeMax),
      byTimer ? '1' : '0',
      this.startByMs,
      ...ambiguousArgs(this.#options),
      sendTimeoutMs,
      call,
      begins.length,
      ...begins.map(({ entry }) => entry),
      settles.length,
      ...settles.flatMap(({ request }) => encodeSettle(request, ambiguousArgs(this.#options)[0])),
    ];
  }

  #apply(
    [due, begun, settled, entry, out]: ExchangeReply,
    begins: readonly PendingBegin[],
    settles: readonly PendingSettle[],
    askedAtMs: number,
  ): void {
    begins.forEach(({ resolve, entry: asked }, index) => {
      const ok = begun[index] === 1;
      if (!ok) this.#held.drop(asked);
      resolve(ok);
    });
    settles.forEach(({ request, resolve }, index) => {
      this.#held.settledOne(request.grant.entry);
      resolve(settled[index] === 1 ? 'settled' : settled[index] === 2 ? 'evidence' : 'stale');
    });
    this.#heed(due);
    if (entry === '') return;
    if (this.#leaving) this.#unwanted.push(entry);
    else this.#hand(decodeGrants(this.shard, entry, out), askedAtMs);
  }

  #slots(): number {
    if (this.#stopping) return 0;
    const { slots } = this.#options;
    return typeof slots === 'number' ? slots : slots(this.#settling);
  }

  /** What a reply says about the next timer: 0 = call again at once. */
  #heed(dueMs: number): void {
    if (dueMs !== 0) {
      this.#timer.arm(dueMs);
      return;
    }
    this.#take = true;
    this.#byTimer = true;
  }

  /** The reply is lost: the call may have run. Settlements are told again; a beginning is asked again while it may still count. */
  #lost(error: unknown, begins: PendingBegin[], settles: PendingSettle[], byTimer: boolean): void {
    if (this.#closed) {
      for (const { resolve } of begins) resolve(false);
      for (const { resolve } of settles) resolve('stale');
      return;
    }
    if (error instanceof Error && error.message.startsWith('ERR')) throw error; // a fault in our script
    this.#settles.unshift(...settles);
    const now = performance.now();
    for (const begin of begins) {
      if (now - begin.sinceMs <= this.startByMs) this.#begins.push(begin);
      else begin.resolve(false);
    }
    this.#byTimer ||= byTimer;
    this.#take = true;
    // Holds the next call back until there is a connection; then everything above goes out in one.
    this.#calls += 1;
    void whenReady(this.#commands, 1000).then(async (ready) => {
      if (ready) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await this.#returnUnheard().catch(() => undefined); // a beat tries again
      }
      this.#calls -= 1;
      this.#schedule();
    });
  }

  #hand(grants: Grant[], askedAtMs?: number): void {
    const [first] = grants;
    if (first === undefined) return;
    this.#held.add(first.entry, grants.length, askedAtMs);
    this.#options.onGrants(grants);
  }

  async #readMailbox(): Promise<void> {
    const key = `${shardPrefix(this.shard)}m:${this.#options.worker}`;
    const blockSeconds = (this.#options.blockMs ?? 5000) / 1000;
    while (!this.#stopping) {
      if (!(await this.#mailbox.whenReady(1000))) continue;
      const item = (await this.#mailbox.read('BLPOP', key, blockSeconds).catch(() => null)) as [Buffer, Buffer] | null;
      if (item !== null) this.#hand(decodeMailbox(this.shard, item[1]));
    }
  }

  /** Beats go at their own pace, whatever else has to be done and however long each takes: they are what others judge by. */
  #armBeat(): void {
    this.#beat = setTimeout(() => {
      this.#armBeat();
      if (this.#beatsUnderWay >= BEATS_MAX) return;
      this.#heartbeat().catch(() => undefined); // Redis is away: the next beat comes anyway
    }, BEAT_MS);
  }

  async #heartbeat(): Promise<void> {
    const { worker } = this.#options;
    // What others hold and did not begin within twice our time goes back, too: where only their link is slow, we are quicker.
    const args = [worker, this.startByMs, this.#slots(), ...this.#held.toRenew()];
    this.#beatsUnderWay += 1;
    const told = this.runner.run('beat', this.shard, args).finally(() => (this.#beatsUnderWay -= 1));
    const [due, beats, holders] = (await told) as [number, string[], string[]];
    this.#heed(due);
    this.#schedule();
    const dead = this.#watch.observe(beats, holders, performance.now());
    if (this.#isTidying || this.#closed) return; // the dead stay dead, and are seen again
    this.#isTidying = true;
    void this.#tidy(dead)
      .catch(() => undefined) // Redis is away: the next beat brings it again
      .finally(() => (this.#isTidying = false));
  }

  /** What is left over goes on: of calls that were lost, of what nobody renewed, of the dead. */
  async #tidy(deadWorkers: readonly { worker: string; beat: string }[]): Promise<void> {
    const { worker } = this.#options;
    for (const dead of deadWorkers) await this.#reclaim(dead.worker, dead.beat);
    await this.#returnUnheard();
    const now = performance.now();
    if (now - this.#sweptAtMs < this.#options.claimIdleMs / 3) return;
    this.#sweptAtMs = now;
    await sweepClaims(this.runner, this.shard, worker, this.#options.claimIdleMs);
    await this.#reclaim(worker, '', 'disowned', await this.#leases.disowned(this.#held.has));
  }

  /** What was taken by calls whose reply was lost goes to others, or comes again. */
  async #returnUnheard(): Promise<void> {
    const unheard = await this.#leases.unheard(this.#held.has);
    await this.#reclaim(this.#options.worker, '', 'unheard', unheard);
  }

  /** Takes over what a dead worker left, a batch of it, or gives up entries of its own, all of them. */
  async #reclaim(worker: string, beat: string, own?: 'unheard' | 'disowned', entries: readonly string[] = []) {
    for (let from = 0; own === undefined ? from === 0 : from < entries.length; from += GIVEN_UP_MAX) {
      const given = own === undefined ? [] : [own, ...entries.slice(from, from + GIVEN_UP_MAX)];
      await this.runner.run('reclaim', this.shard, [worker, beat, ...this.#lossArgs(), ...given]);
      this.#byTimer = true;
      this.#schedule();
    }
  }

  #lossArgs(): ScriptArg[] {
    return [...ambiguousArgs(this.#options), this.#options.sendTimeoutMs];
  }
}

type ExchangeReply = [due: number, begun: number[], settled: number[], entry: string, out: string[]];
