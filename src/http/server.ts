import type { FastifyInstance } from 'fastify';

export interface HttpServer {
  /** Where it answers: `http://127.0.0.1:3000`. */
  readonly url: string;
  readonly port: number;
  /** Takes no new connections and waits for the answers under way, at most `graceMs`. Safe to call twice. */
  stop(graceMs: number): Promise<void>;
}

/**
 * Starts to listen.
 * @param options.port 0 = any free one
 * @throws Error in plain words when the port is taken or may not be used
 */
export async function startServer(
  app: FastifyInstance,
  options: { readonly host: string; readonly port: number },
): Promise<HttpServer> {
  const { host, port } = options;
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new Error(reasonOf(error as NodeJS.ErrnoException, host, port), { cause: error });
  }
  const address = app.server.address();
  const listening = typeof address === 'object' && address !== null ? address.port : port;
  const shown = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;

  let stopping: Promise<void> | undefined;
  const stop = async (graceMs: number): Promise<void> => {
    const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
    try {
      await app.close();
    } finally {
      clearTimeout(timer);
    }
  };
  return { url: `http://${shown}:${listening}`, port: listening, stop: (graceMs) => (stopping ??= stop(graceMs)) };
}

function reasonOf(error: NodeJS.ErrnoException, host: string, port: number): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program; set PORT to a free one, or end that program.`;
    case 'EACCES':
      return `This user may not listen on port ${port}; set PORT to one above 1023.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `This machine has no address ${host}; set HOST to one of its own, or to 127.0.0.1.`;
    default:
      return `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`;
  }
}
