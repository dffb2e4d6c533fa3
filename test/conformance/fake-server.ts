import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { TEST_CERTIFICATE, TEST_KEY } from './tls-fixture.ts';

/** One request as it came over the wire. */
export interface FakeRequest {
  /** Request line and headers. */
  readonly head: string;
  readonly body: string;
  /** From 1: which connection it came on, and which request of that connection it is. */
  readonly connection: number;
  readonly onConnection: number;
}

/** Answers one request, in any way that a socket allows. */
export type Behaviour = (socket: net.Socket, request: FakeRequest) => void;

/**
 * A server below HTTP: it reads whole requests and hands the raw socket to a behaviour, so that a test can answer
 * wrongly, half, late or not at all. Ends with everything it opened.
 */
export class FakeServer {
  readonly requests: FakeRequest[] = [];
  behaviour: Behaviour = (socket) => socket.end();
  /** Connections that were opened, and bytes that came in on all of them. */
  connections = 0;
  bytesReceived = 0;
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #waiting: (() => void)[] = [];
  readonly #scheme: 'http' | 'https';

  private constructor(kind: 'http' | 'https') {
    this.#scheme = kind;
    const accept = (socket: net.Socket): void => this.#accept(socket);
    this.#server =
      kind === 'http' ? net.createServer(accept) : tls.createServer({ key: TEST_KEY, cert: TEST_CERTIFICATE }, accept);
    this.#server.on('tlsClientError', () => undefined);
  }

  /** @param port 0 = any; another one to come back at the address of a server that stopped */
  static async start(kind: 'http' | 'https' = 'http', port = 0): Promise<FakeServer> {
    const server = new FakeServer(kind);
    server.#server.listen(port, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  /** `http://127.0.0.1:<port>`; another scheme makes the client speak what the server does not. */
  url(scheme: 'http' | 'https' = this.#scheme): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the server is not listening');
    return `${scheme}://127.0.0.1:${address.port}`;
  }

  /** Resolves when the next request has come in whole. */
  async nextRequest(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: net.Socket): void {
    const connection = ++this.connections;
    let onConnection = 0;
    let received = Buffer.alloc(0);
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = received.subarray(0, end).toString('latin1');
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const body = received.subarray(end + 4, end + 4 + length).toString('utf8');
      received = received.subarray(end + 4 + length);
      const request = { head, body, connection, onConnection: ++onConnection };
      this.requests.push(request);
      this.behaviour(socket, request);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }
}

/** A whole, well-formed answer. */
export function answer(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Behaviour {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return (socket) => void socket.write(`HTTP/1.1 ${status} Status\r\n${head}\r\n${body}`);
}

/** Exactly these bytes, then nothing more; the connection stays open. */
export function raw(text: string): Behaviour {
  return (socket) => void socket.write(text);
}
