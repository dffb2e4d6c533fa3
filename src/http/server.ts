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
 * @param options.setting name of the setting that the port comes from, for the sentence of an error; default PORT
 * @throws Error in plain words when the port is taken or may not be used
 */
export async function startServer(
  app: FastifyInstance,
  options: { readonly host: string; readonly port: number; readonly setting?: string },
): Promise<HttpServer> {
  const { host, port, setting = 'PORT' } = options;
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw new Error(reasonOf(error as NodeJS.ErrnoException, host, port, setting), { cause: error });
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

function reasonOf(error: NodeJS.ErrnoException, host: string, port: number, setting: string): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is taken by another program; set ${setting} to a free one, or end that program.`;
    case 'EACCES':
      return `This user may not listen on port ${port}; set ${setting} to one above 1023.`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `This machine has no address ${host}; set HOST to one of its own, or to 127.0.0.1.`;
    default:
      return `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`;
  }
}
