import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll } from 'vitest';
import { Pool, request } from 'undici';
import { eventually } from './eventually.ts';

/*
 * A load balancer as simple as they come: keeps connections to its backends, asks each for /ready, sends callers in turn
 * to those that said yes last, and repeats nothing. A backend that breaks a connection is the caller's 502.
 */

const ASK_EVERY_MS = 200;

export interface Balancer {
  readonly url: string;
  /** What callers were told that was no backend's answer, by its reason. */
  readonly broken: string[];
  add(backend: string): void;
  remove(backend: string): void;
  /** Resolves when the backend is (or is no longer) sent callers. */
  serves(backend: string, wanted: boolean): Promise<void>;
  close(): Promise<void>;
}

interface Backend {
  readonly pool: Pool;
  isReady: boolean;
  readonly timer: NodeJS.Timeout;
}

/** Listens on loopback, on a port of its own; closed after the file. */
export async function openBalancer(): Promise<Balancer> {
  const backends = new Map<string, Backend>();
  const broken: string[] = [];
  let turn = 0;

  async function ask(url: string): Promise<void> {
    const backend = backends.get(url);
    if (backend === undefined) return;
    backend.isReady = await request(`${url}/ready`, { headersTimeout: 4000 }).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode === 200;
      },
      () => false,
    );
  }

  async function pass(from: IncomingMessage, to: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of from) chunks.push(chunk as Buffer);
    const ready = [...backends.values()].filter(({ isReady }) => isReady);
    const backend = ready[(turn += 1) % Math.max(1, ready.length)];
    if (backend === undefined) {
      broken.push('no backend is ready');
      to.writeHead(503).end();
      return;
    }
    // Those of this hop are not the backend's.
    const headers = { ...from.headers };
    for (const name of ['host', 'connection', 'transfer-encoding']) Reflect.deleteProperty(headers, name);
    try {
      const method = from.method as 'GET' | 'POST';
      const body = chunks.length === 0 ? null : Buffer.concat(chunks);
      const answer = await backend.pool.request({ method, path: from.url ?? '/', headers, body });
      const text = Buffer.from(await answer.body.arrayBuffer());
      to.writeHead(answer.statusCode, { 'content-type': String(answer.headers['content-type'] ?? '') }).end(text);
    } catch (error) {
      broken.push(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
      to.writeHead(502).end();
    }
  }

  const server = createServer((from, to) => void pass(from, to));
  // Longer than any test: a connection that ends by itself would look like a fault of the program.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const balancer: Balancer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    broken,
    add(url) {
      const timer = setInterval(() => void ask(url), ASK_EVERY_MS);
      backends.set(url, { pool: new Pool(url, { connections: 16, keepAliveTimeout: 60_000 }), isReady: false, timer });
    },
    remove(url) {
      const backend = backends.get(url);
      clearInterval(backend?.timer);
      backends.delete(url);
      void backend?.pool.close();
    },
    async serves(url, wanted) {
      const what = `${url} to be ${wanted ? 'ready' : 'left alone'}`;
      await eventually(() => (backends.get(url)?.isReady ?? false) === wanted, { timeoutMs: 60_000, what });
    },
    async close() {
      for (const url of [...backends.keys()]) balancer.remove(url);
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  afterAll(() => balancer.close());
  return balancer;
}
