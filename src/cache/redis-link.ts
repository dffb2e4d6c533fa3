import { randomBytes } from 'node:crypto';
import { Redis, ReplyError } from 'ioredis';
import type { Evicted } from './evicted.ts';
import { channelOf } from './keys.ts';
import { type EvictingCall, PendingEvictions } from './pending-evictions.ts';
import { CACHE_SCRIPTS, type CacheScript } from './scripts.ts';

export interface LinkOptions {
  /** With the database in it. */
  readonly url: string;
  readonly onEvicted: (evicted: Evicted) => void;
  /** Tells of the way down and up, for the log. */
  readonly onChange?: (isUp: boolean, reason: string) => void;
}

/** When a command is not answered by then, the server counts as away. */
const COMMAND_TIMEOUT_MS = 500;
/**
 * A connection that brings nothing for so long although something was asked is opened anew: one whose server lost its
 * power, or whose path was forgotten, is closed by nobody.
 */
const SILENT_MS_MAX = 2000;
/** How often a process asks whether it missed an eviction: the bound on old values when a connection is half dead. */
const SYNC_MS = 500;
/** Without a sync that was answered for this long, the memory is not believed. */
const TRUST_MS = 1500;
/** A tag that changes often is evicted no sooner again, by whatever process. */
const PACE_MS = 1000;
/** Keys that one script evicts: Lua passes on some thousand values at most, and Redis serves nobody meanwhile. */
const EVICTED_MAX = 500;

type ScriptArguments = readonly (string | number)[];

/**
 * The cache's connections: one for commands, one that hears evictions. While the server is away every call answers
 * `undefined` at once, so that nobody waits for it; evictions are remembered and made up for before anything is read
 * again.
 */
export class RedisLink {
  readonly origin = randomBytes(6).toString('base64url');
  readonly #options: LinkOptions;
  readonly #commands: Redis;
  readonly #ears: Redis;
  readonly #channel: string;
  readonly #pending = new PendingEvictions();
  #isUp = false;
  #isRising = false;
  #isStopped = false;
  #lastSeq = 0;
  #trustedUntilMs = 0;
  #clockOffsetMs = 0;
  #serverRun = '';
  #used = { bytes: 0, entries: 0 };
  #timer: NodeJS.Timeout | undefined;
  #dueTimer: NodeJS.Timeout | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { url } = options;
    const db = Number(new URL(url).pathname.slice(1) || '0');
    this.#channel = channelOf(db);
    const shared = {
      protocol: 2,
      lazyConnect: true,
      connectTimeout: 2000,
      socketTimeout: SILENT_MS_MAX,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      retryStrategy: (times: number) => Math.min(20 * times, 500),
    } as const;
    this.#commands = new Redis(url, { ...shared, commandTimeout: COMMAND_TIMEOUT_MS });
    this.#ears = new Redis(url, { ...shared, autoResubscribe: false });
    for (const client of [this.#commands, this.#ears]) {
      client.on('error', () => undefined); // Each command hears of it; 'close' below does the rest.
      client.on('close', () => this.#fall('the connection broke'));
      client.on('ready', () => void this.#rise());
    }
    for (const [name, lua] of Object.entries(CACHE_SCRIPTS)) {
      this.#commands.defineCommand(`cache_${name}`, { lua, numberOfKeys: 0 });
    }
    this.#ears.on('message', (_channel: string, message: string) => this.#hear(message));
  }

  /** Starts to connect, and waits for it no longer than `waitMs`: a cache that is away holds nobody up. */
  async start(waitMs = 500): Promise<void> {
    this.#timer = setInterval(() => void this.#tick(), SYNC_MS);
    this.#timer.unref();
    for (const client of [this.#commands, this.#ears]) client.connect().catch(() => undefined);
    const untilMs = performance.now() + waitMs;
    while (!this.#isUp && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  stop(): void {
    this.#isStopped = true;
    this.#isUp = false;
    clearInterval(this.#timer);
    clearTimeout(this.#dueTimer);
    this.#commands.disconnect();
    this.#ears.disconnect();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** May a value in memory be used: is it certain that its eviction would have been heard. */
  isHearing(nowMs: number): boolean {
    return this.#isUp && nowMs < this.#trustedUntilMs;
  }

  /** What is added to this machine's clock to get the server's. */
  get clockOffsetMs(): number {
    return this.#clockOffsetMs;
  }

  get serverRun(): string {
    return this.#serverRun;
  }

  /** Of all processes, as of the last sync. */
  get used(): { readonly bytes: number; readonly entries: number } {
    return this.#used;
  }

  /** The entry's text; null = there is none; undefined = the server is away. What is no text at all is removed. */
  get(key: string): Promise<string | null | undefined> {
    if (!this.#isUp) return Promise.resolve(undefined);
    return this.#commands.get(key).catch((error: unknown) => {
      if (error instanceof ReplyError && (error as Error).message.startsWith('WRONGTYPE')) {
        return this.evict([key]).then(() => null);
      }
      this.#failed(error);
      return undefined;
    });
  }

  /** Undefined = the server is away or refused. */
  async run<T>(script: CacheScript, ...values: ScriptArguments): Promise<T | undefined> {
    if (!this.#isUp) return undefined;
    try {
      return await this.#call<T>(script, values);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** Stores a value and makes the other processes forget the one they have. @returns was it stored */
  async fill(announce: boolean, key: string, token: string, rest: ScriptArguments, tags: readonly string[]) {
    const [gens = '', header = '', json = '', ttlMs = 0, staleMs = 0, budget = 0] = rest;
    const channel = announce ? this.#channel : '';
    const values = [key, token, gens, header, json, ttlMs, staleMs, budget, channel, this.origin, ...tags];
    return (await this.run<number>('fill', ...values)) === 1;
  }

  /** Resolves when every process has been told, or when it is certain that they will be. Never rejects. */
  async evict(keys: readonly string[]): Promise<void> {
    for (let from = 0; from < keys.length; from += EVICTED_MAX) {
      const some = keys.slice(from, from + EVICTED_MAX);
      if ((await this.run('evict', this.#channel, this.origin, ...some)) !== undefined) continue;
      this.#pending.addKeys(some);
    }
  }

  async evictTags(tags: readonly string[]): Promise<void> {
    if (tags.length === 0) return;
    for (;;) {
      const left = await this.run<number>('evictTags', this.#channel, this.origin, ...tags);
      if (left === 0) return;
      if (left !== undefined) continue;
      this.#pending.addTags(tags);
      return;
    }
  }

  /**
   * Evicts tags that change often: at once those that were not evicted lately, the others when their pause is over. When
   * that is, stands in Redis: should this process end before, another one evicts them, or the next that starts.
   * @returns the tags that were evicted now; those of a server that is away are remembered
   */
  async changed(tags: readonly string[]): Promise<readonly string[]> {
    const evicted: string[] = [];
    for (let from = 0; from < tags.length; from += EVICTED_MAX) {
      const some = tags.slice(from, from + EVICTED_MAX);
      const answer = await this.run<[number, ...string[]]>('changed', this.#channel, this.origin, PACE_MS, ...some);
      if (answer === undefined) this.#pending.addTags(some);
      const [dueInMs, ...names] = answer ?? [-1, ...some];
      evicted.push(...names);
      this.#awaitDue(dueInMs);
    }
    return evicted;
  }

  async reset(): Promise<void> {
    for (;;) {
      const left = await this.run<number>('reset', this.#channel, this.origin);
      if (left === 0) return;
      if (left !== undefined) continue;
      this.#pending.addReset();
      return;
    }
  }

  /** Evicts what is due then. Any process does it, whoever made it due. */
  #awaitDue(inMs: number): void {
    const atMs = performance.now() + inMs;
    if (inMs < 0 || this.#isStopped || atMs >= this.#dueAtMs) return;
    this.#dueAtMs = atMs;
    clearTimeout(this.#dueTimer);
    this.#dueTimer = setTimeout(() => {
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      if (this.#isUp) this.#evictDue().catch((error: unknown) => this.#failed(error));
    }, inMs + 1);
    this.#dueTimer.unref();
  }

  async #evictDue(): Promise<void> {
    for (;;) {
      const values = [this.#channel, this.origin, PACE_MS];
      const [dueInMs, ...names] = await this.#call<[number, ...string[]]>('evictDue', values);
      if (names.length > 0) this.#options.onEvicted({ kind: 'tags', names });
      if (dueInMs === 0) continue;
      this.#awaitDue(dueInMs);
      return;
    }
  }

  #call<T>(script: CacheScript, values: ScriptArguments): Promise<T> {
    const commands = this.#commands as unknown as Record<string, (...values: ScriptArguments) => Promise<T>>;
    const command = commands[`cache_${script}`];
    if (command === undefined) throw new Error(`There is no script ${script}.`);
    return command.call(this.#commands, ...values);
  }

  /** An error that the server itself sent (full, loading) concerns one command; any other means that it is away. */
  #failed(error: unknown): void {
    if (error instanceof ReplyError) return;
    this.#fall(error instanceof Error ? error.message : 'it does not answer');
  }

  #fall(reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#trustedUntilMs = 0;
    this.#options.onChange?.(false, reason);
  }

  async #tick(): Promise<void> {
    if (!this.#isUp) return this.#rise();
    const before = this.#lastSeq;
    const synced = await this.#catchUp().catch((error: unknown) => this.#failed(error));
    if (synced === undefined || synced <= before || synced <= this.#lastSeq) return;
    // The message may be on its way; when it is not, evictions were missed.
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (synced <= this.#lastSeq) return;
    this.#forgetAll(synced);
    // Is the connection that should have brought it still there: without a question nobody would learn that it is not.
    this.#ears.ping().catch(() => undefined);
  }

  /** What was evicted on the way up, or refused by a full server, is made up for here. */
  async #catchUp(): Promise<number> {
    await this.#replay();
    return this.#sync();
  }

  async #sync(): Promise<number> {
    const sentMs = Date.now();
    const [seq, serverMs, bytes, entries, dueInMs] = await this.#call<[string, string, string, number, number]>(
      'sync',
      [],
    );
    const nowMs = Date.now();
    this.#clockOffsetMs = Math.round(Number(serverMs) - (sentMs + nowMs) / 2);
    this.#trustedUntilMs = sentMs + TRUST_MS;
    this.#used = { bytes: Number(bytes), entries };
    this.#awaitDue(dueInMs);
    return Number(seq);
  }

  /** Subscribe first, then make up for what was missed, and only then read. */
  async #rise(): Promise<void> {
    if (this.#isUp || this.#isRising || this.#isStopped) return;
    if (this.#commands.status !== 'ready' || this.#ears.status !== 'ready') return;
    this.#isRising = true;
    try {
      await this.#ears.subscribe(this.#channel);
      const info = await this.#commands.info('server').catch(() => '');
      this.#serverRun = /^run_id:(\w{8})/m.exec(info)?.[1] ?? '';
      await this.#replay();
      await this.#evictDue();
      const seq = await this.#sync();
      this.#forgetAll(seq);
      this.#isUp = !this.#isGone();
      if (!this.#isUp) return;
      await this.#replay();
      this.#options.onChange?.(true, 'connected');
    } catch {
      // The next tick tries again.
    } finally {
      this.#isRising = false;
    }
  }

  #isGone(): boolean {
    return this.#isStopped || this.#commands.status !== 'ready' || this.#ears.status !== 'ready';
  }

  async #replay(): Promise<void> {
    const call: EvictingCall = (script, names) => this.#call(script, [this.#channel, this.origin, ...names]);
    await this.#pending.replay(call, EVICTED_MAX);
  }

  #forgetAll(seq: number): void {
    this.#lastSeq = seq;
    this.#options.onEvicted({ kind: 'all' });
  }

  #hear(message: string): void {
    const bar = message.indexOf('|');
    const seq = Number(message.slice(0, bar));
    const missed = seq > this.#lastSeq + 1;
    this.#lastSeq = Math.max(seq, this.#lastSeq);
    if (missed) this.#options.onEvicted({ kind: 'all' });
    try {
      const [origin, kind, ...names] = JSON.parse(message.slice(bar + 1)) as string[];
      if (origin === this.origin) return;
      if (kind === 'k') this.#options.onEvicted({ kind: 'keys', names });
      else if (kind === 't') this.#options.onEvicted({ kind: 'tags', names });
      else this.#options.onEvicted({ kind: 'all' });
    } catch {
      this.#options.onEvicted({ kind: 'all' });
    }
  }
}
