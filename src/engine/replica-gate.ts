import type { Redis } from 'ioredis';
import { AppError } from '../errors/app-error.ts';
import { connectionOf, type RedisClient } from './connection.ts';
import { REPLICA_MARK_LETTER, shardPrefix } from './keys.ts';

/** Longest wait of one accept for its replica. While it lasts, the connection answers nobody else. */
const WAIT_MS = 1000;
/** Of a look whether a replica that was away is back. */
const PROBE_MS = 100;

/**
 * The promise of `ACCEPT_DURABILITY=replica`: what was stored is on a replica, too, before its client hears of it.
 * Once a replica did not answer, nothing more is stored until one answers again.
 */
export class ReplicaGate {
  readonly #client: RedisClient;
  readonly #key: string;
  #isAway = false;
  #probe: Promise<boolean> | undefined;

  constructor(client: RedisClient, shard: number) {
    this.#client = client;
    this.#key = `${shardPrefix(shard)}${REPLICA_MARK_LETTER}`;
  }

  /** @throws AppError `QUEUE_UNAVAILABLE` while no replica answers: nothing should be stored now */
  async assertThere(): Promise<void> {
    if (!this.#isAway) return;
    this.#probe ??= this.#confirmed(connectionOf(this.#client, this.#key), PROBE_MS).finally(
      () => (this.#probe = undefined),
    );
    if (!(await this.#probe)) throw new NoReplicaError();
  }

  /**
   * Runs a call on one connection and waits on the same until a replica has what it wrote: a confirmation of another
   * server, or of a connection that wrote nothing, would confirm nothing.
   * @throws AppError `QUEUE_UNAVAILABLE` when none confirmed in time; what the call stored is stored all the same
   */
  async confirm<T>(call: (connection: Redis) => Promise<T>, untilMs: number): Promise<T> {
    const connection = connectionOf(this.#client, this.#key);
    const reply = await call(connection);
    if (!(await this.#confirmed(connection, Math.min(WAIT_MS, untilMs - performance.now()))))
      throw new NoReplicaError();
    return reply;
  }

  /**
   * WAIT waits for the last write of its own connection. A repeated call may have written nothing on this one, so
   * something is written here: then everything before it is confirmed with it.
   */
  async #confirmed(connection: Redis, waitMs: number): Promise<boolean> {
    const [, replicas] = await Promise.all([
      connection.set(this.#key, ''),
      connection.call('WAIT', 1, Math.max(1, Math.round(waitMs))),
    ]);
    this.#isAway = Number(replicas) < 1;
    return !this.#isAway;
  }
}

/** Waiting longer would not help: the caller hears at once. */
export class NoReplicaError extends AppError {
  constructor() {
    super('QUEUE_UNAVAILABLE', {
      detail: 'No replica of the queue confirmed the message. Repeat it with the same Idempotency-Key.',
    });
  }
}
