import { crc32 } from 'node:zlib';
import { AppError } from '../errors/app-error.ts';
import type { Hold, HoldKind, Lane } from '../model/message.ts';
import { AcceptBatcher } from './accept-batcher.ts';
import { commandClient, disconnect, type RedisClient, type RedisTarget, whenReady } from './connection.ts';
import {
  type AcceptResult,
  type CancelResult,
  type Circuits,
  type Counters,
  type NewMessage,
  type Place,
  type SenderLimits,
  type SendQueue,
  type StatusEvidence,
  type TenantLimits,
  UnknownSenderError,
  type UnrecordedMessage,
} from './contract.ts';
import { DEAD_AFTER_MS } from './beat-watch.ts';
import { joinCircuits, readCircuits } from './circuits.ts';
import { addUpCounters } from './counters.ts';
import { countLimitedPairs } from './limited-pairs.ts';
import { type LaneLook, lookAtLane } from './lane-look.ts';
import { decodeLine, decodeLook, type Line, type SenderLook } from './line.ts';
import { shardPrefix } from './keys.ts';
import { packLane } from './lane.ts';
import { assertLayout } from './layout.ts';
import { MemoryWatch } from './memory-watch.ts';
import { ambiguousArgs, ENGINE_DEFAULTS, type EngineOptions } from './options.ts';
import { type Outcome, OutcomeWatch } from './outcome-watch.ts';
import { ReplicaGate } from './replica-gate.ts';
import { RetryDesk } from './retry-desk.ts';
import { StreamDesk } from './stream-desk.ts';
import { sweepClaims } from './claim-sweep.ts';
import { QueueShards, ofShard } from './queue-shards.ts';
import { asked, type ScriptArg, ScriptRunner, type WallClock } from './script-runner.ts';
import { StatusBatcher } from './status-batcher.ts';
import { encodeStatus } from './status-code.ts';
import { readUnrecorded } from './unrecorded.ts';

export interface SendQueueOptions extends Partial<EngineOptions> {
  readonly redis: RedisTarget;
  /** SHARDS: fixed for the life of the data. */
  readonly shards: number;
  readonly durability?: 'disk' | 'replica' | 'memory';
  /** No command takes longer; then the queue counts as away. */
  readonly commandTimeoutMs?: number;
  readonly clock?: WallClock;
  /** Told of every answer to an accept: figures. Must not throw. */
  readonly onAccept?: (message: NewMessage, result: AcceptResult) => void;
  /** Is there no room left on the disk of the queue for new messages. Asked at every accept: must answer at once. */
  readonly isDiskFull?: () => boolean;
}

/** The engine's accepting side over Redis. See `SendQueue` for what each call promises. */
export class RedisSendQueue implements SendQueue {
  readonly shards: number;
  readonly runner: ScriptRunner;
  /** Slow retries, redrives and what waits for a person. */
  readonly retries: RetryDesk;
  /** Administration of the hand-over streams. */
  readonly streams: StreamDesk;
  readonly #options: EngineOptions & Pick<SendQueueOptions, 'onAccept' | 'isDiskFull'>;
  readonly #client: RedisClient;
  readonly #memory: MemoryWatch;
  readonly #shards: QueueShards;
  /** Of each shard. */
  readonly #batchers: readonly AcceptBatcher[];
  /** Of each shard. */
  readonly #watches: readonly OutcomeWatch[];
  readonly #statuses = new StatusBatcher((batch) => this.#tell(batch));
  #limitedPairs: Promise<number> | undefined;

  constructor(options: SendQueueOptions) {
    this.shards = options.shards;
    this.#options = { ...ENGINE_DEFAULTS, ...options };
    this.#client = commandClient(options.redis, options.commandTimeoutMs ?? 1500);
    this.#memory = new MemoryWatch(this.#client);
    this.runner = new ScriptRunner(this.#client, options.clock);
    this.#shards = new QueueShards(this.shards, this.runner, this.#options);
    this.retries = new RetryDesk(
      this.#client,
      this.shards,
      async (shard, args) => Number((await this.#shards.run('revive', shard, args))[1]),
      async ({ id, shard, lane }, seq) =>
        (await this.#shards.run('inspect', shard, [id, packLane(lane), seq])).length > 0,
    );
    this.streams = this.#streamDesk();
    this.#batchers = this.#shards.each(
      (shard) =>
        new AcceptBatcher({
          shard,
          runner: this.runner,
          replica: options.durability === 'replica' ? new ReplicaGate(this.#client, shard) : null,
          onDue: (dueMs) => this.#shards.arm(shard, dueMs),
        }),
    );
    this.#watches = this.#shards.each((shard) => new OutcomeWatch(options.redis, shard, this.#client));
  }

  /** @throws AppError `QUEUE_UNAVAILABLE` when Redis cannot be reached within `timeoutMs`, or holds another layout */
  async connect(timeoutMs = 5000): Promise<void> {
    if (!(await whenReady(this.#client, timeoutMs))) throw new AppError('QUEUE_UNAVAILABLE');
    for (let shard = 0; shard < this.shards; shard += 1) await assertLayout(this.#client, shard);
  }

  async accept(message: NewMessage): Promise<AcceptResult> {
    if (this.#memory.isFull() || this.#options.isDiskFull?.() === true) throw new AppError('QUEUE_FULL');
    const result = await ofShard(this.#batchers, this.#shards.of(message.lane.sender)).add(message);
    this.#options.onAccept?.(message, result);
    return result;
  }

  async configureSender(limits: SenderLimits): Promise<void> {
    const { sender, shard, pairBucketRefillPerSecond: refill } = limits;
    const bucketOn = limits.pairBucketCapacity > 0 && refill > 0;
    await this.#control(shard, 'configure-sender', sender, [
      limits.ratePerSecond,
      limits.burst,
      limits.concurrency,
      limits.pairGapMs,
      bucketOn ? limits.pairBucketCapacity : 0,
      bucketOn ? 1000 / refill : 0,
    ]);
    this.#shards.place(sender, shard);
  }

  async configureTenant(sender: string, tenant: string, limits: TenantLimits): Promise<void> {
    await this.#controlSender(sender, 'configure-tenant', [tenant, limits.concurrency, limits.weight]);
  }

  async pauseSender(sender: string, reason: string, onlyIf?: { readonly heldFor: string | null }): Promise<void> {
    await this.#controlSender(sender, 'pause-sender', [reason, ...(onlyIf ? [onlyIf.heldFor ?? ''] : [])]);
  }

  async resumeSender(sender: string, onlyIf?: { readonly heldFor: string }): Promise<void> {
    await this.#controlSender(sender, 'resume-sender', onlyIf ? [onlyIf.heldFor] : []);
  }

  async pauseReason(sender: string): Promise<string | null> {
    const key = `${shardPrefix(this.#shards.of(sender))}s:${sender}`;
    return await asked(this.#client.hget(key, 'paused'));
  }

  async circuits(): Promise<Circuits> {
    const found = await this.#shards.onEach((shard) => asked(readCircuits(this.#client, shardPrefix(shard))));
    return joinCircuits(found);
  }

  isReachable(): boolean {
    return this.#client.status === 'ready';
  }

  async lookAtLane(lane: Lane, contact: string): Promise<LaneLook> {
    const prefix = shardPrefix(this.#shards.of(lane.sender));
    return await asked(lookAtLane(this.#client, prefix, lane, contact));
  }

  async limitedPairs(): Promise<number> {
    const prefixes = this.#shards.each(shardPrefix);
    this.#limitedPairs ??= countLimitedPairs(this.#client, prefixes).finally(() => {
      setTimeout(() => (this.#limitedPairs = undefined), 1000).unref();
    });
    return await asked(this.#limitedPairs);
  }

  async holdTemplate(sender: string, template: string): Promise<void> {
    await this.#controlSender(sender, 'hold-template', [template]);
  }

  async releaseTemplate(sender: string, template: string): Promise<void> {
    await this.#controlSender(sender, 'release-template', [template]);
  }

  async heldTemplates(sender: string): Promise<readonly string[]> {
    const key = `${shardPrefix(this.#shards.of(sender))}th:${sender}`;
    const states = await asked(this.#client.hgetall(key));
    return Object.keys(states).filter((template) => states[template] === 'H');
  }

  async pauseTenant(sender: string, tenant: string): Promise<void> {
    await this.#controlSender(sender, 'pause-tenant', [tenant]);
  }

  async resumeTenant(sender: string, tenant: string): Promise<void> {
    await this.#controlSender(sender, 'resume-tenant', [tenant]);
  }

  /** Forgets the limit of one pair: gap, bucket and what a provider asked to wait. `contact` as in `NewMessage`. */
  async clearPairLimit(sender: string, contact: string): Promise<void> {
    await this.#controlSender(sender, 'clear-pair', [contact]);
  }

  /** Stops hand-overs on every shard; accepting goes on. */
  async pauseAll(): Promise<void> {
    await this.#shards.onEach((shard) => this.#control(shard, 'pause-shard', '', []));
  }

  async resumeAll(): Promise<void> {
    await this.#shards.onEach((shard) => this.#control(shard, 'resume-shard', '', []));
  }

  async isPaused(): Promise<boolean> {
    const paused = await this.#shards.onEach((shard) => asked(this.#client.hget(`${shardPrefix(shard)}g`, 'paused')));
    return paused.includes('1');
  }

  async cancel(target: { id: string; lane: Lane; seq: number }): Promise<CancelResult> {
    const args = [target.id, packLane(target.lane), target.seq];
    const [, result] = await this.#shards.run('cancel', this.#shards.of(target.lane.sender), args);
    if (result === 1) return 'cancelled';
    return result === 0 ? 'in-flight' : 'gone';
  }

  async place(target: { id: string; lane: Lane; seq: number }): Promise<Place | null> {
    const args = [target.id, packLane(target.lane), target.seq, ''];
    const reply = await this.#shards.run('inspect', this.#shards.of(target.lane.sender), args);
    if (reply.length === 0) return null;
    const [status, kind, ms, attempts, position] = reply as [Place['status'], HoldKind | '', number, number, number];
    const untilMs = ms < 0 ? null : Date.now() + ms;
    const hold: Hold | null = kind === '' ? null : { kind, untilMs };
    return { status, hold, attempts, position };
  }

  async line(target: { id: string; lane: Lane; seq: number }): Promise<Line | null> {
    const args = [target.id, packLane(target.lane), target.seq, '1'];
    return decodeLine(await this.#shards.run('inspect', this.#shards.of(target.lane.sender), args));
  }

  async lookAtSender(sender: string, tenant: string): Promise<SenderLook | null> {
    return decodeLook(await this.#shards.run('look', this.#shards.of(sender), [sender, tenant, DEAD_AFTER_MS]), tenant);
  }

  async unrecorded(id: string): Promise<UnrecordedMessage | null> {
    // An id names no shard.
    const looks = await this.#shards.onEach((shard) => this.#lookAtUnrecorded(shard, id));
    return looks.find((found) => found !== null) ?? null;
  }

  async statuses(statuses: readonly StatusEvidence[]): Promise<void> {
    await Promise.all(statuses.map((status) => this.#statuses.add(status)));
  }

  async waitForOutcome(id: string, timeoutMs: number): Promise<Outcome | null> {
    const waits = this.#watches.map((watch) => watch.wait(id, timeoutMs));
    return await Promise.race([
      ...waits.map(async (wait) => {
        const outcome = await wait;
        if (outcome === null) await Promise.all(waits);
        return outcome;
      }),
    ]);
  }

  async counters(): Promise<Counters> {
    return addUpCounters(await this.#shards.onEach((shard) => asked(this.#client.hgetall(`${shardPrefix(shard)}n`))));
  }

  /** Senders whose limits this process told the engine, and their shards. */
  get knownSenders(): ReadonlyMap<string, number> {
    return this.#shards.known;
  }

  close(): void {
    this.#shards.close();
    for (const watch of this.#watches) watch.close();
    disconnect(this.#client);
  }

  #streamDesk(): StreamDesk {
    const { sendTimeoutMs, claimIdleMs } = this.#options;
    return new StreamDesk({
      client: this.#client,
      shards: this.shards,
      run: async (name, shard, args) => (await this.#shards.run(name, shard, args)).map(Number),
      reclaim: async (shard, worker, beat) => {
        const args = [worker, beat, ...ambiguousArgs(this.#options), sendTimeoutMs];
        const [, entries, gone] = await this.#shards.run('reclaim', shard, args);
        return { entries: Number(entries), isGone: gone === 1 };
      },
      sweep: (shard, worker) => sweepClaims(this.runner, shard, worker, claimIdleMs),
    });
  }

  async #lookAtUnrecorded(shard: number, id: string, isSecond = false): Promise<UnrecordedMessage | null> {
    const found = await asked(readUnrecorded(this.#client, shardPrefix(shard), id));
    if (found === null) return null;
    const place = found.ended === null ? await this.place(found) : null;
    // It ended between the two looks: by now its end stands in the events.
    if (place === null && found.ended === null && !isSecond) return await this.#lookAtUnrecorded(shard, id, true);
    return { ...found, place };
  }

  /** A status names no shard: each shard looks whether it proves one of its unknown messages, one of them keeps it. */
  async #tell(batch: readonly StatusEvidence[]): Promise<void> {
    await this.#shards.onEach((shard) => {
      const isKept = ({ providerMessageId }: StatusEvidence) => crc32(providerMessageId) % this.shards === shard;
      return this.#shards.run(
        'evidence',
        shard,
        batch.flatMap((status) => encodeStatus(status, isKept(status))),
      );
    });
  }

  async #controlSender(sender: string, verb: string, values: readonly ScriptArg[]): Promise<void> {
    await this.#control(this.#shards.of(sender), verb, sender, values);
  }

  async #control(shard: number, verb: string, sender: string, values: readonly ScriptArg[]): Promise<void> {
    const [, known] = await this.#shards.run('control', shard, [verb, sender, ...values]);
    if (known === 0) throw new UnknownSenderError(sender);
  }
}
