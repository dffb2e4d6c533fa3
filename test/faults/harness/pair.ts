import { followed, withClient } from '../../support/many-redis.ts';
import { LinkProxy } from '../../support/link-proxy.ts';
import type { Random } from '../../support/random.ts';
import { FaultRedis } from './redis.ts';

/**
 * A master with a replica that follows it over a link which can be made worse, and one address in front for everybody
 * else, as a name or a load balancer gives it: it leads to the master, and to the replica once that was promoted.
 */
export class FaultPair {
  readonly replica: FaultRedis;
  /** From the replica to the master. */
  readonly link: LinkProxy;
  readonly front: LinkProxy;
  readonly #master: FaultRedis;
  readonly #lead: { to: FaultRedis };

  private constructor(
    master: FaultRedis,
    replica: FaultRedis,
    links: Record<'link' | 'front', LinkProxy>,
    lead: { to: FaultRedis },
  ) {
    this.#master = master;
    this.replica = replica;
    this.link = links.link;
    this.front = links.front;
    this.#lead = lead;
  }

  static async open(master: FaultRedis, random: Random): Promise<FaultPair> {
    const link = await LinkProxy.open(() => master.port, random);
    const replica = await FaultRedis.start({
      settings: { replicaof: `127.0.0.1 ${link.port}`, 'repl-ping-replica-period': '1' },
    });
    const lead = { to: master };
    const front = await LinkProxy.open(() => lead.to.port, random);
    await followed(master);
    return new FaultPair(master, replica, { link, front }, lead);
  }

  /** Kills the master as a power cut would, and makes the replica the master: what had not reached it is forgotten. */
  async failOver(): Promise<void> {
    await this.#master.kill();
    // Whatever the link still holds must not arrive late: its sender is dead, and so is the wire.
    this.link.cut();
    await withClient(this.replica.port, async (client) => await client.call('REPLICAOF', 'NO', 'ONE'));
    this.#lead.to = this.replica;
    this.front.cut();
  }

  /** The old master comes back and follows the new one. */
  async follow(): Promise<void> {
    await this.#master.start();
    const { port } = this.replica;
    await withClient(this.#master.port, async (client) => await client.call('REPLICAOF', '127.0.0.1', port));
    await followed(this.replica);
  }

  async close(): Promise<void> {
    await this.front.close();
    await this.link.close();
    await this.replica.close();
  }
}
