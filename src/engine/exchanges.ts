import { whenReady } from './connection.ts';
import type { SettleRequest } from './contract.ts';
import { DueTimer } from './due-timer.ts';
import type { LinkParts } from './link-parts.ts';
import { ambiguousArgs } from './options.ts';
import { redisFailure, type ScriptArg } from './script-runner.ts';
import { encodeSettle } from './settle-code.ts';

/*
 * A worker's calls of `exchange`, through which it tells a shard everything: what it settles, what it is about to
 * begin, and how much it can take. Calls of one tick are joined; two may be under way at once, more only when each is
 * full: then they share an fsync.
 */

const SETTLE_MAX = 25; // bounds one script's work; as many as one call takes, or what was taken together needs two
const BEGIN_MAX = 32;
const CALLS_MAX = 2; // one runs while the next is collected; more would only make smaller batches …
const FULL_CALLS_MAX = 8; // … unless there is enough for a whole one

/**
 * `repeated`: the reply to an earlier telling was lost, and this one changed nothing. That telling had been carried out,
 * or, after seconds without a queue, another worker had taken over: which of the two, the queue no longer knows.
 */
export type SettleResult = 'settled' | 'evidence' | 'stale' | 'repeated';

/** What a call took: the stream entry, and its messages as `decodeGrants()` reads them. */
export interface Taken {
  readonly entry: string;
  readonly out: string[];
  /** When the call was made, on the monotonic clock. */
  readonly askedAtMs: number;
}

export interface ExchangePorts extends LinkParts {
  /** As `WorkerLinkOptions.slots`. */
  readonly slots: number | ((leaving: number) => number);
  readonly onTaken: (taken: Taken) => void;
  /** There is a connection again after a call whose reply was lost; waited for before the next call. */
  readonly onBack: () => Promise<void>;
}

interface PendingBegin {
  readonly entry: string;
  readonly sinceMs: number;
  readonly resolve: (begun: boolean) => void;
}
interface PendingSettle {
  readonly request: SettleRequest;
  /** It was in a call whose reply was lost. */
  wasTold: boolean;
  readonly resolve: (result: SettleResult) => void;
}

const RESULTS: Readonly<Record<number, SettleResult>> = { 1: 'settled', 2: 'evidence' };

type ExchangeReply = [due: number, begun: number[], settled: number[], entry: string, out: string[], wallMs: number];

/** So that 52 slots at 25 a call are filled by three calls of 18, and not by two of 25 and one for the odd two. */
function evenShare(slots: number, most: number): number {
  return slots === 0 ? 0 : Math.ceil(slots / Math.ceil(slots / most));
}

export class Exchanges {
  readonly #ports: ExchangePorts;
  readonly #timer: DueTimer;
  readonly #underWay = new Set<Promise<void>>();
  #begins: PendingBegin[] = [];
  #settles: PendingSettle[] = [];
  #calls = 0;
  #lastCall = 0;
  /** Settlements in calls that are under way. */
  #settling = 0;
  #scheduled = false;
  #take = false;
  #byTimer = false;
  #stopping = false;
  #closed = false;

  constructor(ports: ExchangePorts) {
    this.#ports = ports;
    this.#timer = new DueTimer(() => {
      this.lookAtTimers();
    });
  }

  /** Asks whether what came through the mailbox may begin. */
  begin(entry: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.#begins.push({ entry, sinceMs: performance.now(), resolve });
      this.#schedule();
    });
  }

  /** Tells an outcome, again and again until Redis has heard it. Never rejects. */
  settle(request: SettleRequest): Promise<SettleResult> {
    return new Promise((resolve) => {
      this.#settles.push({ request, wasTold: false, resolve });
      this.#schedule();
    });
  }

  /** Asks for work with the next call, and makes one. */
  take(): void {
    this.#take = true;
    this.#schedule();
  }

  /** Makes a call that also fires what is due. */
  lookAtTimers(): void {
    this.#byTimer = true;
    this.#schedule();
  }

  /** What a reply says about the next timer: 0 = call again at once. */
  heed(dueMs: number): void {
    if (dueMs !== 0) {
      this.#timer.arm(dueMs);
      return;
    }
    this.#take = true;
    this.#byTimer = true;
    this.#schedule();
  }

  /** Free places as the engine is to know them. */
  slots(): number {
    if (this.#stopping) return 0;
    const { slots } = this.#ports;
    return typeof slots === 'number' ? slots : slots(this.#settling);
  }

  /** Takes no more. Resolves when everything that was asked for has come. */
  async stopTaking(): Promise<void> {
    const asked = [...this.#underWay];
    this.#stopping = true;
    // Tells the engine that there are no free slots: until then accepts would still be handed to the mailbox.
    this.take();
    await Promise.all(asked);
  }

  /** Makes no more calls. */
  close(): void {
    this.#closed = true;
    this.#timer.close();
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
    const { runner, shard, startBy, leases } = this.#ports;
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
      reply = await runner.run('exchange', shard, this.#encode(call, begins, settles, byTimer));
    } catch (error) {
      this.#calls -= 1;
      this.#settling -= settles.length;
      leases.lost(call);
      this.#lost(error, begins, settles, byTimer);
      this.#schedule();
      return;
    }
    // Outside the try: what was heard must not be told again because its reader failed.
    this.#calls -= 1;
    this.#settling -= settles.length;
    startBy.saw(performance.now() - askedAtMs);
    this.#apply(reply as ExchangeReply, begins, settles, askedAtMs);
    this.#schedule();
  }

  #encode(
    call: number,
    begins: readonly PendingBegin[],
    settles: readonly PendingSettle[],
    byTimer: boolean,
  ): ScriptArg[] {
    const { worker, engine, startBy } = this.#ports;
    const ambiguous = ambiguousArgs(engine);
    return [
      worker,
      this.slots(),
      this.#stopping ? 0 : evenShare(this.slots(), engine.takeMax),
      byTimer ? '1' : '0',
      startBy.ms,
      ...ambiguous,
      engine.sendTimeoutMs,
      call,
      begins.length,
      ...begins.map(({ entry }) => entry),
      settles.length,
      ...settles.flatMap(({ request }) => encodeSettle(request, ambiguous[0])),
    ];
  }

  #apply(
    [due, begun, settled, entry, out, wallMs]: ExchangeReply,
    begins: readonly PendingBegin[],
    settles: readonly PendingSettle[],
    askedAtMs: number,
  ): void {
    const { held, wall, onTaken } = this.#ports;
    wall.told(wallMs, askedAtMs);
    begins.forEach(({ resolve, entry: asked }, index) => {
      const ok = begun[index] === 1;
      if (!ok) held.drop(asked);
      resolve(ok);
    });
    settles.forEach(({ request, wasTold, resolve }, index) => {
      held.settledOne(request.grant.entry);
      resolve(RESULTS[settled[index] ?? 0] ?? (wasTold ? 'repeated' : 'stale'));
    });
    this.heed(due);
    if (entry !== '') onTaken({ entry, out, askedAtMs });
  }

  /** The reply is lost: the call may have run. Settlements are told again; a beginning is asked again while it may still count. */
  #lost(error: unknown, begins: PendingBegin[], settles: PendingSettle[], byTimer: boolean): void {
    if (this.#closed) {
      for (const { resolve } of begins) resolve(false);
      for (const { resolve } of settles) resolve('repeated');
      return;
    }
    if (error instanceof Error && error.message.startsWith('ERR')) throw error; // a fault in our script
    const mayHaveRun = redisFailure(error) === 'lost';
    for (const settle of settles) settle.wasTold ||= mayHaveRun;
    this.#settles.unshift(...settles);
    const now = performance.now();
    for (const begin of begins) {
      if (now - begin.sinceMs <= this.#ports.startBy.ms) this.#begins.push(begin);
      else begin.resolve(false);
    }
    this.#byTimer ||= byTimer;
    this.#take = true;
    void this.#holdBack();
  }

  /** The next call waits until there is a connection; then everything goes out in one. */
  async #holdBack(): Promise<void> {
    this.#calls += 1;
    if (await whenReady(this.#ports.runner.client, 1000)) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await this.#ports.onBack();
    }
    this.#calls -= 1;
    this.#schedule();
  }
}
