import { AppError } from '../errors/app-error.ts';
import { createHash } from 'node:crypto';
import { sealBody } from './body.ts';
import { whenReady } from './connection.ts';
import { type AcceptResult, type NewMessage, UnknownSenderError } from './contract.ts';
import { packLane } from './lane.ts';
import { redisFailure, type ScriptArg, type ScriptRunner, toQueueError } from './script-runner.ts';

/** Messages per script call: enough to share a call, few enough that calls overlap and scripts stay under 2 ms. */
const BATCH_MAX = 25;
/** After this, repeats included, the caller hears that the queue is away: he is promised a word within 2 s. */
const REPEAT_FOR_MS = 1500;
/** Not worth another call: timers may fire this much early. */
const REPEAT_MS_MIN = 5;

interface Waiting {
  readonly message: NewMessage;
  readonly resolve: (result: AcceptResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface AcceptBatcherOptions {
  readonly shard: number;
  readonly runner: ScriptRunner;
  /** Waits for a replica after each call (`ACCEPT_DURABILITY=replica`). */
  readonly waitForReplica: boolean;
  readonly onDue: (dueMs: number) => void;
}

/** Joins the accepts of one tick into script calls: the group commit of the accepting side. */
export class AcceptBatcher {
  readonly #options: AcceptBatcherOptions;
  #waiting: Waiting[] = [];
  #scheduled = false;

  constructor(options: AcceptBatcherOptions) {
    this.#options = options;
  }

  add(message: NewMessage): Promise<AcceptResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ message, resolve, reject });
      if (this.#waiting.length >= BATCH_MAX) {
        this.#flush();
      } else if (!this.#scheduled) {
        this.#scheduled = true;
        setImmediate(() => {
          this.#scheduled = false;
          this.#flush();
        });
      }
    });
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    void this.#store(batch);
  }

  async #store(batch: readonly Waiting[]): Promise<void> {
    try {
      const reply = await this.#call(batch.flatMap(({ message }) => encode(message)));
      this.#options.onDue(Number(reply[0]));
      batch.forEach(({ message, resolve, reject }, index) => {
        const code = Number(reply[1 + 2 * index]);
        const id = String(reply[2 + 2 * index]);
        if (code === 6) reject(new UnknownSenderError(message.lane.sender));
        else resolve(decode(code, id));
      });
    } catch (error) {
      const known = toQueueError(error);
      for (const { reject } of batch) reject(known);
    }
  }

  /** A call whose reply was lost may have run: it is repeated with a mark, and the ids tell what it had stored. */
  async #call(args: readonly ScriptArg[]): Promise<unknown[]> {
    const { runner, shard, waitForReplica } = this.#options;
    const giveUpAt = performance.now() + REPEAT_FOR_MS;
    for (let repeated = '0'; ; repeated = '1') {
      try {
        const stored = within(giveUpAt, runner.run('accept', shard, [repeated, ...args])) as Promise<unknown[]>;
        if (!waitForReplica) return await stored;
        const [reply, replicas] = await Promise.all([stored, runner.client.call('WAIT', 1, REPEAT_FOR_MS)]);
        if (Number(replicas) < 1)
          throw new AppError('QUEUE_UNAVAILABLE', { detail: 'No replica confirmed the message.' });
        return reply;
      } catch (error) {
        const failure = redisFailure(error);
        const left = giveUpAt - performance.now();
        if (failure === null || failure === 'full' || left < REPEAT_MS_MIN) throw error;
        if (!(await whenReady(runner.client, left))) throw error;
        if (failure === 'refused') await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** The client's own time limit starts anew with every repeat; this one does not. */
async function within<T>(deadlineAtMs: number, call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error('Redis did not answer in time'));
    timer = setTimeout(fail, Math.max(0, deadlineAtMs - performance.now()));
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}

function decode(code: number, id: string): AcceptResult {
  switch (code) {
    case 1:
    case 2:
      return { kind: 'accepted', id, immediate: code === 2 };
    case 3:
      return { kind: 'duplicate', id };
    case 4:
      return { kind: 'key-reused' };
    case 5:
      return { kind: 'backlog-full' };
    default:
      throw new Error(`accept replied an unknown code ${code}`);
  }
}

// Text, not an empty buffer: one buffer among the arguments makes the client copy all of them as buffers.
const NONE = '';

function encode(message: NewMessage): ScriptArg[] {
  const { id, lane, idempotency, tenantLimits: limits } = message;
  return [
    id,
    packLane(lane),
    message.priority,
    message.contact,
    message.sendAtMs ?? '',
    message.expiresAtMs ?? '',
    idempotency === undefined ? NONE : keyDigest(lane.tenant, lane.sender, idempotency.key),
    idempotency === undefined ? NONE : idempotency.bodyDigest.subarray(0, 8),
    idempotency === undefined ? NONE : Buffer.from(id.replaceAll('-', ''), 'hex'),
    sealBody(id, message.body),
    `${limits.concurrency}|${limits.weight}|${limits.backlogMax}`,
  ];
}

/** 12 bytes: at 10^9 keys a day, two differ by chance with probability 10^-11. */
function keyDigest(tenant: string, sender: string, key: string): Buffer {
  return createHash('sha256').update(`${tenant}|${sender}|${key}`).digest().subarray(0, 12);
}
