import { Cluster, type Redis } from 'ioredis';
import { decodeAccepts, encodeAccepts } from './accept-code.ts';
import { whenReady } from './connection.ts';
import { NoReplicaError, type ReplicaGate } from './replica-gate.ts';
import { type AcceptResult, type NewMessage, UnknownSenderError } from './contract.ts';
import { redisFailure, type ScriptArg, type ScriptRunner, toQueueError } from './script-runner.ts';
import { TickBatches } from './tick-batches.ts';

/** Messages per script call: enough to share a call, few enough that calls overlap and scripts stay under 2 ms. */
const BATCH_MAX = 25;
/** After this, repeats included, the caller hears that the queue is away: he is promised a word within 2 s. */
const REPEAT_FOR_MS = 1500;
/** Not worth another call: timers may fire this much early. */
const REPEAT_MS_MIN = 5;
/** Calls that wait for a replica stand in line on their connection: more at once would only wait longer. */
const CONFIRMED_CALLS_MAX = 2;

interface Waiting {
  readonly message: NewMessage;
  readonly resolve: (result: AcceptResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface AcceptBatcherOptions {
  readonly shard: number;
  readonly runner: ScriptRunner;
  /** With `ACCEPT_DURABILITY=replica`: a call counts when a replica has confirmed it. */
  readonly replica: ReplicaGate | null;
  readonly onDue: (dueMs: number) => void;
}

/** Joins the accepts of one tick into script calls: the group commit of the accepting side. */
export class AcceptBatcher {
  readonly #options: AcceptBatcherOptions;
  readonly #batches: TickBatches<Waiting>;

  constructor(options: AcceptBatcherOptions) {
    this.#options = options;
    this.#batches = new TickBatches({
      batchMax: BATCH_MAX,
      callsMax: options.replica === null ? Infinity : CONFIRMED_CALLS_MAX,
      call: (batch) => this.#store(batch),
    });
  }

  add(message: NewMessage): Promise<AcceptResult> {
    return new Promise((resolve, reject) => {
      this.#batches.add({ message, resolve, reject });
    });
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    try {
      const [due, results] = decodeAccepts(await this.#call(encodeAccepts(batch.map(({ message }) => message))));
      this.#options.onDue(due);
      batch.forEach(({ message, resolve, reject }, index) => {
        const result = results(message.id, index);
        if (result === null) reject(new UnknownSenderError(message.lane.sender));
        else resolve(result);
      });
    } catch (error) {
      const known = toQueueError(error);
      for (const { reject } of batch) reject(known);
    }
  }

  /** A call whose reply was lost may have run: it is repeated with a mark, and the ids tell what it had stored. */
  async #call(args: readonly ScriptArg[]): Promise<unknown[]> {
    const { runner, shard, replica } = this.#options;
    const giveUpAt = performance.now() + REPEAT_FOR_MS;
    for (let repeated = '0'; ; repeated = '1') {
      try {
        if (replica === null) return await within(giveUpAt, runner.run('accept', shard, [repeated, ...args]));
        await within(giveUpAt, replica.assertThere());
        const call = async (connection: Redis) => await runner.run('accept', shard, [repeated, ...args], connection);
        return await within(giveUpAt, replica.confirm(call, giveUpAt));
      } catch (error) {
        if (error instanceof NoReplicaError) throw error;
        const failure = redisFailure(error);
        const left = giveUpAt - performance.now();
        if (failure === null || failure === 'full' || left < REPEAT_MS_MIN) throw error;
        if (!(await whenReady(runner.client, left))) throw error;
        if (failure === 'refused' || runner.client instanceof Cluster)
          await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** The client's own time limit starts anew with every repeat; this one does not. */
async function within(deadlineAtMs: number, call: Promise<unknown>): Promise<unknown[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error('Redis did not answer in time'));
    timer = setTimeout(fail, Math.max(0, deadlineAtMs - performance.now()));
  });
  try {
    return (await Promise.race([call, late])) as unknown[];
  } finally {
    clearTimeout(timer);
  }
}
