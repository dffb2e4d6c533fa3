import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';

/** A door before a TCP server: open, or shut so that connections break and new ones are refused. */
export class Gate {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #target: { host: string; port: number } | undefined;
  #port = 0;

  /** Opens the gate before the server of this address and gives the address of the gate. */
  async before(address: string): Promise<string> {
    const url = new URL(address);
    this.#target = { host: url.hostname, port: Number(url.port) };
    await this.open();
    url.port = String(this.#port);
    url.hostname = '127.0.0.1';
    return url.href;
  }

  async open(): Promise<void> {
    const target = this.#target;
    if (target === undefined || this.#server !== undefined) return;
    const server = createServer((inside) => {
      const outside = connect(target);
      for (const socket of [inside, outside]) {
        this.#sockets.add(socket);
        socket.on('error', () => socket.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          inside.destroy();
          outside.destroy();
        });
      }
      inside.pipe(outside).pipe(inside);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as { port: number }).port;
    this.#server = server;
  }

  async shut(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
