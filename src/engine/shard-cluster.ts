import { Cluster, type ClusterNode, type ClusterOptions, type Redis } from 'ioredis';
import { slotOf } from './slots.ts';

type Options = Omit<ClusterOptions, 'redisOptions'> & {
  // `replyMapping` concerns RESP3 only, and its type refuses `undefined`.
  redisOptions: Omit<NonNullable<ClusterOptions['redisOptions']>, 'replyMapping'>;
};

/**
 * A cluster's client that does what a queue needs: it never repeats a command whose reply was lost, and never follows
 * a slot into the middle of its move.
 */
export class ShardCluster extends Cluster {
  #warmed: Promise<void> | undefined;
  #masters: ReadonlySet<string> = new Set();

  constructor(nodes: ClusterNode[], options: Options) {
    super(nodes, options);
    // Connections stand before they are needed: a command that meets one on its way is refused, not kept.
    this.on('+node', (node: Redis) => {
      if (node.status === 'wait') void node.connect().catch(() => undefined);
    });
    this.on('refresh', () => this.#leaveDegraded());
  }

  /**
   * `ASK` means that a slot is being moved key by key. A script that ran on the new side would find a part of its shard
   * and take it for the whole. So it is refused, and repeated, until the move is over and `MOVED` says where all of it is.
   */
  override handleError(...[error, ttl, handlers]: Parameters<Cluster['handleError']>): void {
    if (error.message.startsWith('ASK ')) (handlers as { defaults(): void }).defaults();
    else super.handleError(error, ttl, handlers);
  }

  /** What is under way to a server that is a master no more gets no answer that counts, and from one that stands still none. */
  #leaveDegraded(): void {
    const masters = new Set(this.slots.flatMap(([master]) => (master === undefined ? [] : [master])));
    for (const node of this.nodes('all')) {
      const address = `${node.options.host}:${node.options.port}`;
      if (this.#masters.has(address) && !masters.has(address)) node.disconnect();
    }
    this.#masters = masters;
  }

  /** Resolves when every master that is there can take commands; once. */
  warm(): Promise<void> {
    this.#warmed ??= Promise.all(this.nodes('master').map(settled)).then(() => undefined);
    return this.#warmed;
  }

  /** `host:port` of the master that has the key, as far as this client knows. */
  addressOf(key: string): string | undefined {
    return this.slots[slotOf(key)]?.[0];
  }

  /** The connection to the master that has the key, for commands that name no key. Undefined while none stands. */
  nodeOf(key: string): Redis | undefined {
    const address = this.addressOf(key);
    return this.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address);
  }
}

/** Resolves when a connection stands or has failed. */
async function settled(node: Redis): Promise<void> {
  if (node.status === 'ready' || node.status === 'end') return;
  await new Promise<void>((resolve) => {
    node.once('ready', resolve);
    node.once('end', resolve);
  });
}
