import type { TagKey } from '../providers/tag.ts';
import type { BadHealth, Grant, SettleRequest } from '../engine/contract.ts';
import { commandClient, disconnect, isCluster, type RedisClient, type RedisTarget } from '../engine/connection.ts';
import { ENGINE_DEFAULTS, type EngineOptions } from '../engine/options.ts';
import type { SettleResult } from '../engine/exchanges.ts';
import { WORKER_COMMAND_TIMEOUT_MS, WorkerLink } from '../engine/worker-link.ts';
import type { MessageProvider, ProviderOutcome, SenderAccount } from '../providers/contract.ts';
import { Accounts, type ReadAccount } from './accounts.ts';
import { attempt, type AttemptContext } from './attempt.ts';
import type { RetryPolicy } from './policy.ts';
import { ProcessGate } from './process-gate.ts';
import { type ReadWindow, Windows } from './windows.ts';
import { ProviderHealth, type ProviderHealthOptions } from './provider-health.ts';

/*
 * take → attempt → settle. A hand-over arrives from the engine, marked as sending on disk or marked here; each of its
 * messages is said to its provider, and what came of it is settled. Only settling frees a place of the engine's, so
 * this class keeps no state of its own about messages but what is in work now.
 */

export interface SendWorkerOptions extends Partial<EngineOptions> {
  readonly redis: RedisTarget;
  readonly shards: number;
  /** Name of this worker, unique for each start of a process. */
  readonly worker: string;
  /** WORKER_CONCURRENCY: messages in work at once in this process. */
  readonly slots: number;
  /** GLOBAL_RATE_PER_SECOND and GLOBAL_CONCURRENCY; 0 = none. */
  readonly globalRatePerSecond: number;
  readonly globalConcurrency: number;
  readonly blockMs?: number;
  /** From the arrival of a hand-over to the first byte; later is given back unstarted. Default 250 ms; more where the link's start-by is. */
  readonly firstByteByMs?: number;
  readonly providers: Readonly<Partial<Record<SenderAccount['provider'], MessageProvider>>>;
  readonly policyFor: (account: SenderAccount) => RetryPolicy;
  readonly readAccount: ReadAccount;
  /** Reads until when a person's window is open; absent: the provider decides (ON_WINDOW_CLOSED=send). */
  readonly readWindow?: ReadWindow | undefined;
  /** Signs the tag by which a status webhook proves an attempt. */
  readonly tagKey: TagKey;
  /** Told of every settled attempt: logs and figures. Must not throw. */
  readonly onSettled?: (request: SettleRequest, result: SettleResult) => void;
  /** Hears of a mistake of the program itself over a message. Must not throw. */
  readonly onBroken?: (grant: Grant, error: unknown) => void;
  readonly onConnection?: (connected: boolean) => void;
  /** When circuit breakers open; default 5 failures in a row, for 60 s. */
  readonly breaker?: ProviderHealthOptions;
  /** Told when this worker has counted enough failures to open a sender's circuit. Must not throw. */
  readonly onCircuit?: (sender: string, openMs: number, reason: 'failures' | 'credential') => void;
}

/** How long a message waits when its account cannot be read because the record is away. */
const ACCOUNT_RETRY_MS = 1000;
const FIRST_BYTE_BY_MS = 250;
/** For telling the queue what became of the attempts that were broken off. */
const LAST_WORDS_MS = 2000;
const BREAKER_DEFAULTS: ProviderHealthOptions = { threshold: 5, openMs: 60_000 };

export class SendWorker {
  readonly #options: SendWorkerOptions;
  readonly #links: readonly WorkerLink[];
  /** One connection for the commands of all shards, on a cluster. */
  readonly #shared: RedisClient | undefined;
  readonly #gate: ProcessGate;
  readonly #accounts: Accounts;
  readonly #health: ProviderHealth;
  readonly #windows: Windows | undefined;
  readonly #abort = new AbortController();
  #idle: (() => void) | undefined;

  constructor(options: SendWorkerOptions) {
    this.#options = options;
    this.#accounts = new Accounts(options.readAccount);
    this.#windows = options.readWindow === undefined ? undefined : new Windows(options.readWindow);
    this.#health = new ProviderHealth(options.breaker ?? BREAKER_DEFAULTS);
    const placesMax =
      options.globalConcurrency > 0 ? Math.min(options.slots, options.globalConcurrency) : options.slots;
    this.#gate = new ProcessGate({
      placesMax,
      ratePerSecond: options.globalRatePerSecond,
      shards: options.shards,
      onRoom: (shard) => this.#links[shard]?.takeMore(),
    });
    this.#shared = isCluster(options.redis) ? commandClient(options.redis, WORKER_COMMAND_TIMEOUT_MS) : undefined;
    this.#links = Array.from({ length: options.shards }, (_, shard) => {
      const link: WorkerLink = new WorkerLink({
        ...options,
        ...(this.#shared === undefined ? {} : { commands: this.#shared }),
        shard,
        slots: (leaving) => this.#gate.slotsFor(shard, leaving),
        onGrants: (grants) => void this.#handle(link, grants),
      });
      return link;
    });
  }

  get inWork(): number {
    return this.#gate.inWork;
  }

  /** A sender's account changed elsewhere; null = any may have. */
  expireAccount(sender: string | null): void {
    this.#accounts.expire(sender);
  }

  /** Begins to take. @throws when Redis cannot be reached */
  async start(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.start()));
  }

  /**
   * Takes no more, finishes what is in flight, and leaves nothing half done.
   * @param graceMs after this, attempts that still run are broken off: they are ambiguous and wait for evidence. Where
   * the queue cannot be told even that, it leaves `LAST_WORDS_MS` later: its attempts are then as those of a crash
   */
  async stop(graceMs: number): Promise<void> {
    const stopped = Promise.all(this.#links.map((link) => link.stopTaking()));
    const abort = setTimeout(() => this.#abort.abort(), graceMs);
    const left = stopped.then(() => this.#untilIdle());
    let leave: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (leave = setTimeout(resolve, graceMs + LAST_WORDS_MS)));
    await Promise.race([left, patience]);
    clearTimeout(abort);
    clearTimeout(leave);
    this.#abort.abort();
    this.#gate.close();
    await Promise.all(this.#links.map((link) => link.close()));
    if (this.#shared !== undefined) disconnect(this.#shared);
  }

  async #untilIdle(): Promise<void> {
    if (this.#gate.inWork === 0) return;
    await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  async #handle(link: WorkerLink, grants: readonly Grant[]): Promise<void> {
    const [first] = grants;
    if (first === undefined) return;
    this.#gate.took(link.shard, grants.length);
    const startByAtMs = performance.now() + Math.max(this.#options.firstByteByMs ?? FIRST_BYTE_BY_MS, link.startByMs);
    const begun = link.begin(first.entry);
    await Promise.all(
      grants.map(async (grant) => {
        const request = await this.#pass(link, grant, begun, startByAtMs);
        const result = await link.settle(request);
        this.#options.onSettled?.(request, result);
        this.#gate.done(link.shard);
        if (this.#gate.inWork === 0) this.#idle?.();
      }),
    );
  }

  async #pass(link: WorkerLink, grant: Grant, begun: Promise<boolean>, startByAtMs: number): Promise<SettleRequest> {
    const [isBegun, leave] = await Promise.all([begun, this.#gate.enter(startByAtMs)]);
    try {
      // Not begun in time, or nobody knows whether it was, or no turn: nothing has been sent, so it can go back.
      return isBegun && leave !== null ? await this.#attempt(link, grant, startByAtMs) : unstarted(grant);
    } finally {
      leave?.();
    }
  }

  async #attempt(link: WorkerLink, grant: Grant, startByAtMs: number): Promise<SettleRequest> {
    this.#linkOf.set(grant.lane.sender, link);
    const found = await this.#context(link, grant, startByAtMs);
    if (found.context === undefined) return { grant, settlement: found.settlement, report: null };
    return { grant, ...(await attempt(grant, found.context)) };
  }

  async #context(
    link: WorkerLink,
    grant: Grant,
    startByAtMs: number,
  ): Promise<{ context: AttemptContext } | { context?: undefined; settlement: SettleRequest['settlement'] }> {
    const { sender } = grant.lane;
    let account: SenderAccount | null;
    try {
      account = await this.#accounts.get(sender);
    } catch {
      return { settlement: { kind: 'retry', delayMs: ACCOUNT_RETRY_MS, counted: false } };
    }
    const provider = account === null ? undefined : this.#options.providers[account.provider];
    if (account === null || provider === undefined) {
      const reason =
        account === null ? 'the sender is not in the record' : `no provider ${account.provider} in this program`;
      return { settlement: { kind: 'retry', delayMs: 0, counted: false, brake: { on: 'sender', reason } } };
    }
    const { worker, tagKey, policyFor } = this.#options;
    return {
      context: {
        worker,
        account,
        provider,
        tagKey,
        policy: policyFor(account),
        startByAtMs,
        wallMs: () => link.wallMs(),
        signal: this.#abort.signal,
        windows: this.#windows,
        judge: this.#judge,
        onBroken: this.#options.onBroken,
      },
    };
  }

  /** The shard's link of each sender that this worker has sent for. */
  readonly #linkOf = new Map<string, WorkerLink>();

  readonly #judge = (account: SenderAccount, outcome: ProviderOutcome): BadHealth | undefined => {
    const { openMs } = this.#options.breaker ?? BREAKER_DEFAULTS;
    // What our own end broke off says nothing of the provider: it opens no circuit for the workers that stay, and a probe
    // that ends so closes none.
    if (this.#abort.signal.aborted && outcome.kind === 'ambiguous') return { opens: false, openMs };
    const { badHealth, alsoOpen } = this.#health.judge(account, outcome);
    if (badHealth?.opens === true) this.#options.onCircuit?.(account.id, openMs, 'failures');
    for (const sender of alsoOpen) {
      this.#options.onCircuit?.(sender, openMs, 'credential');
      // While Redis is away nothing is handed out anyway, and the next failures ask for it again.
      this.#linkOf
        .get(sender)
        ?.openCircuit(sender, openMs)
        .catch(() => undefined);
    }
    return badHealth;
  };
}

function unstarted(grant: Grant): SettleRequest {
  return { grant, settlement: { kind: 'unstarted' }, report: null };
}

/** The longest that a provider's call may take, given the engine's own bound on an attempt. */
export function providerDeadlineMs(options: Partial<EngineOptions>): number {
  return (options.sendTimeoutMs ?? ENGINE_DEFAULTS.sendTimeoutMs) - 500;
}
