import { setTimeout as delay } from 'node:timers/promises';
import { type AuditFinding, auditShard } from '../../../src/engine/audit.ts';
import { openClient, type RedisTarget, whenReady } from '../../../src/engine/connection.ts';
import type { Counters, StatusEvidence } from '../../../src/engine/contract.ts';
import { RedisSendQueue } from '../../../src/engine/queue.ts';
import { readTag } from '../../../src/providers/tag.ts';
import { eventually } from '../../support/eventually.ts';
import { testCluster, type TestCluster } from '../../support/many-redis.ts';
import { waitingOf, type Evidence, type Forgotten, type Outage } from './checker.ts';
import { steadyNowMs } from './clock.ts';
import { historiesOf, readEvents } from './events.ts';
import type { Bounds } from './limits.ts';
import { acceptThrough, Load, type Accept, type OpRecord } from './load.ts';
import type { LoadShape, WorkerProgram } from './protocol.ts';
import { FakeProvider } from './provider.ts';
import { FaultPair } from './pair.ts';
import type { Program } from './program.ts';
import { LinkProxy } from '../../support/link-proxy.ts';
import { FaultRedis } from './redis.ts';
import { seededRandom, seedOf, type Random } from '../../support/random.ts';
import { FaultWorker } from './worker.ts';
import {
  ENGINE,
  LIMITS,
  POLICY,
  START_BY_MS,
  TAG_KEY,
  type WorkerOptions,
  type WorldOptions,
} from './world-options.ts';

/** Everything that a fault test runs against: Redis, provider, workers and the accepting side, each able to fail. */
export class World {
  readonly redis: FaultRedis;
  /** Instead of `redis`, when the options ask for it. */
  readonly cluster: TestCluster | undefined;
  readonly #pair: FaultPair | undefined;
  readonly target: RedisTarget;
  readonly shards: number;
  readonly provider: FakeProvider;
  readonly queue: RedisSendQueue;
  readonly queueLink: LinkProxy | undefined;
  readonly workers: FaultWorker[] = [];
  readonly outages: Outage[] = [];
  readonly forgotten: Forgotten[] = [];
  readonly bounds: Bounds;
  readonly random: Random;
  /** Messages that a worker heard to be sent when they were no longer its own, by what became of that. */
  readonly lateSent = { evidence: 0, stale: 0 };
  readonly forwardStepsAtMs: number[] = [];
  readonly seed: number;
  /** Tells one status; false when nobody heard it. */
  tellStatus = (tag: string, wamid: string): Promise<boolean> => this.#tellQueue(tag, wamid);
  readonly #options: WorldOptions;
  readonly #loads: Load[] = [];
  readonly #links: LinkProxy[] = [];
  readonly #programs: Program[] = [];
  readonly #judged: OpRecord[] = [];
  readonly #forgotten = new Set<string>();
  #names = 0;
  #closed = false;

  private constructor(
    options: WorldOptions,
    seed: number,
    redis: FaultRedis,
    provider: FakeProvider,
    queueLink: LinkProxy | undefined,
    { cluster, pair }: { readonly cluster: TestCluster | undefined; readonly pair: FaultPair | undefined },
  ) {
    this.#options = options;
    this.seed = seed;
    this.redis = redis;
    this.provider = provider;
    this.queueLink = queueLink;
    this.random = seededRandom(seed);
    this.cluster = cluster;
    this.#pair = pair;
    this.shards = cluster === undefined ? 1 : 16;
    this.target = cluster?.target ?? {
      url: pair === undefined ? redis.url : `redis://127.0.0.1:${pair.front.port}`,
      db: 0,
    };
    this.queue = new RedisSendQueue({
      redis: queueLink === undefined ? this.target : { url: `redis://127.0.0.1:${queueLink.port}`, db: 0 },
      shards: this.shards,
      durability: options.durability ?? 'disk',
      ...ENGINE,
      ...options.engine,
    });
    const limits = { ...LIMITS, ...options.limits };
    this.bounds = {
      ratePerSecond: limits.ratePerSecond,
      burst: limits.burst,
      senderConcurrency: limits.concurrency,
      tenantConcurrency: this.tenantConcurrency,
      pairGapMs: limits.pairGapMs,
      startSlackMs: START_BY_MS,
      forwardStepsAtMs: this.forwardStepsAtMs,
    };
    provider.process.on((message) => {
      if (message.type === 'killed') this.#providerKilled(message.pid, message.atMs);
      else if (message.type === 'status') void this.#untilHeard(message.tag, message.wamid);
    });
  }

  static async open(id: string, seed: number, options: WorldOptions): Promise<World> {
    const own = seedOf(seed, id);
    const plan = { seed: own, latencyMs: [5, 45] as const, rules: [], statuses: null, ...options.plan };
    const redis = await FaultRedis.start(options.redis);
    const provider = await FakeProvider.start(plan).catch(async (error: unknown) => {
      await redis.close();
      throw error;
    });
    const link =
      options.proxiesQueue === true ? await LinkProxy.open(() => redis.port, seededRandom(own + 1)) : undefined;
    const cluster = options.cluster === undefined ? undefined : await testCluster(options.cluster);
    const pair = options.hasReplica === true ? await FaultPair.open(redis, seededRandom(own + 2)) : undefined;
    const world = new World(options, own, redis, provider, link, { cluster, pair });
    try {
      await world.queue.connect();
      for (const sender of world.senders) await world.configure(sender);
      await Promise.all(Array.from({ length: options.workers ?? 2 }, () => world.startWorker()));
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get pair(): FaultPair {
    if (this.#pair === undefined) throw new Error('The Redis of this world has no replica.');
    return this.#pair;
  }

  get senders(): readonly string[] {
    return this.#options.senders ?? ['s1'];
  }

  shardOf(sender: string): number {
    return Math.max(0, this.senders.indexOf(sender)) % this.shards;
  }

  get tenantConcurrency(): number {
    return this.#options.tenantConcurrency ?? 5;
  }

  async configure(sender: string): Promise<void> {
    await this.queue.configureSender({ ...LIMITS, ...this.#options.limits, sender, shard: this.shardOf(sender) });
  }

  async startWorker(options: WorkerOptions = {}): Promise<FaultWorker> {
    this.#names += 1;
    const engine = { ...ENGINE, ...this.#options.engine };
    const program: WorkerProgram = {
      worker: `w${this.#names}`,
      count: options.count ?? 1,
      redis: options.via === undefined ? this.target : { url: `redis://127.0.0.1:${options.via.port}`, db: 0 },
      shards: this.shards,
      slots: options.slots ?? this.#options.slots ?? 50,
      senders: this.senders.map((id) => ({
        id,
        phoneNumberId: `p-${id}`,
        apiUrl: this.#apiUrlOf(id),
      })),
      tagKeyHex: TAG_KEY.toString('hex'),
      engine: options.onAmbiguous === undefined ? engine : { ...engine, onAmbiguous: options.onAmbiguous },
      policy: { ...POLICY, ...this.#options.policy },
      graceMs: 10_000,
      ...(this.#options.poison === undefined ? {} : { poison: this.#options.poison }),
    };
    const worker = await FaultWorker.start(program, this.outages, options);
    if (this.#closed) {
      await worker.close();
      throw new Error('The test is over.');
    }
    this.workers.push(worker);
    worker.process.on((message) => {
      if (message.type === 'late-sent') this.lateSent[message.result] += 1;
    });
    if (this.#options.killsWorkers === true) this.provider.allowKilling(this.living().map((one) => one.process.pid));
    return worker;
  }

  living(): FaultWorker[] {
    return this.workers.filter((worker) => !worker.process.hasEnded);
  }

  async openLink(): Promise<LinkProxy> {
    const link = await LinkProxy.open(() => this.redis.port, this.random);
    this.#links.push(link);
    return link;
  }

  /** Ends a program with the test. */
  owns(program: Program): Program {
    this.#programs.push(program);
    return program;
  }

  /** A load of its own conversations. */
  load(shape: Partial<LoadShape> & { readonly name: string }, accept?: Accept): Load {
    const whole: LoadShape = {
      senders: this.senders,
      tenants: 8,
      conversations: 40,
      tenantConcurrency: this.tenantConcurrency,
      ...shape,
    };
    const through = acceptThrough(this.queue, this.tenantConcurrency, (sender) => this.configure(sender));
    const load = new Load(whole, accept ?? through, this.seed);
    this.#loads.push(load);
    return load;
  }

  /** Adds what another process accepted to the judgement. */
  judge(ops: readonly OpRecord[]): void {
    this.#judged.push(...ops);
  }

  /** Leaves a load out of the judgement, with what the provider has of it. */
  forget(load: Load): void {
    for (const { op } of load.ops) this.#forgotten.add(op);
    this.#loads.splice(this.#loads.indexOf(load), 1);
  }

  async counters(): Promise<Counters> {
    return await this.queue.counters();
  }

  /** Waits until nothing waits for anything but a person. @returns the time it took, ms */
  async recover(timeoutMs = 90_000): Promise<number> {
    const startMs = performance.now();
    await eventually(async () => waitingOf(await this.counters()) === 0, {
      timeoutMs,
      what: 'the queue to drain',
    }).catch(
      () => undefined, // the checker says what is stuck
    );
    return performance.now() - startMs;
  }

  async evidence(): Promise<Evidence> {
    // The provider's last lines, and a worker's goodbye.
    await this.provider.count();
    const client = openClient(this.target, { protocol: 2, maxRetriesPerRequest: 3 });
    try {
      await whenReady(client, 10_000);
      const events = this.#options.isRecorded === true ? null : await readEvents(client, this.shards);
      const findings: AuditFinding[] = [];
      for (let shard = 0; shard < this.shards; shard += 1) findings.push(...(await auditShard(client, shard)));
      return {
        ops: [...this.#judged, ...this.#loads.flatMap((load) => load.ops)],
        ledger: this.provider.ledger().filter(({ op }) => !this.#forgotten.has(op)),
        histories: events === null ? null : historiesOf(events),
        circuits: (events ?? []).filter((event) => event.type === 'circuit'),
        counters: await this.counters(),
        audit: findings.map(({ promise, detail }) => `${promise}: ${detail}`),
        outages: this.outages,
        forgotten: this.forgotten,
        bounds: this.bounds,
      };
    } finally {
      client.disconnect();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#loads.map((load) => Promise.race([load.stop(), delay(2000)])));
    await Promise.all([...this.workers.map((worker) => worker.close()), ...this.#programs.map((one) => one.kill())]);
    this.queue.close();
    for (const link of [...this.#links, ...(this.queueLink === undefined ? [] : [this.queueLink])]) await link.close();
    await this.provider.close();
    await this.#pair?.close();
    await this.redis.close();
  }

  #providerKilled(pid: number, atMs: number): void {
    const worker = this.workers.find((one) => one.process.pid === pid);
    if (worker !== undefined) this.outages.push({ worker: worker.name, fromMs: atMs - 1, toMs: null });
  }

  #apiUrlOf(sender: string): string {
    if (this.#options.tlsSender === sender) return this.provider.apiUrl.replace('http:', 'https:');
    return this.#options.apiUrls?.[sender] ?? this.provider.apiUrl;
  }

  /** Meta, too, repeats a status until it is heard. */
  async #untilHeard(tag: string, wamid: string): Promise<void> {
    for (const endMs = steadyNowMs() + 60_000; steadyNowMs() < endMs && !this.#closed;) {
      if (await this.tellStatus(tag, wamid)) return;
      await delay(200);
    }
  }

  /** What the webhook route does with a status. */
  async #tellQueue(tag: string, wamid: string): Promise<boolean> {
    const content = readTag(tag, TAG_KEY);
    const evidence: StatusEvidence = {
      messageId: content?.messageId ?? '',
      attempt: content?.attempt ?? null,
      ...(content?.entry === undefined ? {} : { entry: content.entry }),
      providerMessageId: wamid,
      status: 'sent',
      providerAtMs: Date.now(),
      error: null,
    };
    return await this.queue.statuses([evidence]).then(
      () => true,
      () => false,
    );
  }
}
