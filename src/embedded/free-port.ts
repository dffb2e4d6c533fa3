import { createServer } from 'node:net';

function tryListen(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === 'object' && address !== null ? address.port : undefined;
      server.close(() => resolve(found));
    });
  });
}

/**
 * A loopback port that nothing listens on at this moment. `preferred` (1024..65535) is taken when it is free, so that a
 * restart keeps its address. Another program may take the port before its user listens: be ready to ask again.
 */
export async function freePort(preferred?: number): Promise<number> {
  // Below 1024 we may be able to listen (as root) where the server, which is not root, may not.
  const isUsable = preferred !== undefined && preferred >= 1024 && preferred <= 65_535;
  const port = (isUsable ? await tryListen(preferred) : undefined) ?? (await tryListen(0));
  if (port === undefined) throw new Error('No loopback port can be opened on 127.0.0.1.');
  return port;
}
