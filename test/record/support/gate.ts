import { connect, createServer, type Server, type Socket } from 'node:net';

/** A way to PostgreSQL that can be shut, so that a test sees the server go away without stopping it for the others. */
export interface Gate {
  readonly url: string;
  /** Connections that are open now. */
  readonly connections: number;
  /** Breaks every connection and refuses new ones. */
  shut(): Promise<void>;
  /** Takes connections in and lets nothing through, as a frozen server or a dead network does. */
  freeze(): void;
  open(): Promise<void>;
  close(): Promise<void>;
}

export async function openGate(databaseUrl: string): Promise<Gate> {
  const target = new URL(databaseUrl);
  const pairs = new Set<readonly [Socket, Socket]>();
  let isFrozen = false;
  let port = 0;
  let server: Server | null = null;

  function take(client: Socket): void {
    const upstream = connect(Number(target.port), target.hostname);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    if (isFrozen) client.pause();
    else client.pipe(upstream).pipe(client);
    for (const socket of pair) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
  }

  function listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const listening = createServer(take);
      server = listening;
      listening.once('error', reject);
      listening.listen(port, '127.0.0.1', () => {
        const address = listening.address();
        if (typeof address === 'object' && address !== null) port = address.port;
        resolve();
      });
    });
  }

  async function shut(): Promise<void> {
    const listening = server;
    server = null;
    const closed = new Promise<void>((resolve) => (listening === null ? resolve() : listening.close(() => resolve())));
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    await closed;
  }

  await listen();
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  return {
    url: url.href,
    get connections() {
      return pairs.size;
    },
    shut,
    freeze() {
      isFrozen = true;
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream);
        upstream.unpipe(client);
        client.pause();
        upstream.pause();
      }
    },
    async open() {
      await shut();
      isFrozen = false;
      await listen();
    },
    close: shut,
  };
}
