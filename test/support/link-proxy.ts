import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { type Random, seededRandom } from './random.ts';

/** What a link does to the bytes that pass. */
export type LinkMode =
  | { readonly kind: 'pass' }
  | { readonly kind: 'latency'; readonly ms: number; readonly jitterMs: number }
  | { readonly kind: 'bandwidth'; readonly bytesPerSecond: number }
  /** Nothing arrives; it is kept and delivered when the link heals, as TCP's own repeats would. */
  | { readonly kind: 'blackhole' }
  /** As `blackhole`, but only from the client to the server. */
  | { readonly kind: 'blackhole-upstream' };

interface Held {
  readonly chunk: Buffer;
  /** Monotonic time before which it must not arrive. */
  readonly dueAtMs: number;
}

/** One direction of one connection: keeps the order of bytes whatever the mode does to their time. */
class Pipe {
  readonly #to: Socket;
  readonly #upstream: boolean;
  readonly #mode: () => LinkMode;
  readonly #random: Random;
  #held: Held[] = [];
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = 0;
  #ended = false;

  constructor(to: Socket, upstream: boolean, mode: () => LinkMode, random: Random) {
    this.#to = to;
    this.#upstream = upstream;
    this.#mode = mode;
    this.#random = random;
  }

  push(chunk: Buffer): void {
    for (const piece of this.#pieces(chunk)) {
      this.#dueAtMs = Math.max(this.#dueAtMs, this.#earliestMs(piece));
      this.#held.push({ chunk: piece, dueAtMs: this.#dueAtMs });
    }
    this.pump();
  }

  end(): void {
    this.#ended = true;
    this.pump();
  }

  /** Lets pass what may; called again when the mode changes. */
  pump(): void {
    clearTimeout(this.#timer);
    const { kind } = this.#mode();
    if (kind === 'blackhole' || (kind === 'blackhole-upstream' && this.#upstream)) return;
    const isHealed = kind === 'pass';
    for (let next = this.#held[0]; next !== undefined; next = this.#held[0]) {
      const waitMs = isHealed ? 0 : next.dueAtMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        this.#timer.unref();
        return;
      }
      this.#held.shift();
      if (!this.#to.destroyed) this.#to.write(next.chunk);
    }
    this.#dueAtMs = 0;
    if (this.#ended) this.#to.end();
  }

  /** A slow line passes small pieces, or a large reply would arrive all at once after a long silence. */
  #pieces(chunk: Buffer): Buffer[] {
    const mode = this.#mode();
    if (mode.kind !== 'bandwidth') return [chunk];
    const pieces: Buffer[] = [];
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) pieces.push(chunk.subarray(at, at + PIECE_BYTES));
    return pieces;
  }

  #earliestMs(piece: Buffer): number {
    const mode = this.#mode();
    const nowMs = performance.now();
    if (mode.kind === 'latency') return nowMs + mode.ms + (2 * this.#random.next() - 1) * mode.jitterMs;
    if (mode.kind === 'bandwidth') {
      return Math.max(nowMs, this.#dueAtMs) + (piece.length * 1000) / mode.bytesPerSecond;
    }
    return 0;
  }
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly pipes: readonly Pipe[];
  /** Set when a command was seen whose reply is to be lost. */
  losing: (() => void) | undefined;
  isStranded: boolean;
  /** Has it asked for a blocking read, or for a channel. */
  isListening: boolean;
}

interface Trap {
  readonly needle: string;
  readonly done: () => void;
}

/** What a slow line passes at once. */
const PIECE_BYTES = 128;
/** Time after the first byte of the reply until the cut: by then the server has run the command for certain. */
const CUT_AFTER_MS = 10;

/** A TCP link between two processes on loopback, which a test can make worse while it is in use. */
export class LinkProxy {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #random: Random;
  readonly #targetPort: () => number;
  #mode: LinkMode = { kind: 'pass' };
  #traps: Trap[] = [];
  #isClosing = false;

  private constructor(targetPort: () => number, random: Random) {
    this.#targetPort = targetPort;
    this.#random = random;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async open(targetPort: () => number, random: Random = seededRandom(1)): Promise<LinkProxy> {
    const proxy = new LinkProxy(targetPort, random);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#connections.size;
  }

  setMode(mode: LinkMode): void {
    this.#mode = mode;
    for (const { pipes } of this.#connections) for (const pipe of pipes) pipe.pump();
  }

  /** Resets every connection now, on both sides. */
  cut(): void {
    for (const { client, server } of this.#connections) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /**
   * Every connection of now carries nothing any more and is closed by nobody, as when a server lost its power or a path
   * forgot its connections; new ones pass.
   * @param who those only on which a client listens: for a blocking read, or to a channel
   */
  strand(who: 'all' | 'listening' = 'all'): void {
    for (const connection of this.#connections) connection.isStranded ||= who === 'all' || connection.isListening;
  }

  /** Ends the client's half of every connection: the server sees the end, its replies still pass. */
  halfClose(): void {
    for (const { server } of this.#connections) server.end();
  }

  /**
   * The next request that holds `needle` reaches the server and is run; its reply is dropped and the connection reset.
   * Resolves when that has happened.
   */
  loseReplyOf(needle: string): Promise<void> {
    return new Promise((done) => this.#traps.push({ needle, done }));
  }

  /** Takes back the traps that nothing walked into. */
  forgetTraps(): void {
    this.#traps = [];
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    const server = connect({ port: this.#targetPort(), host: '127.0.0.1', allowHalfOpen: true });
    client.setNoDelay(true);
    server.setNoDelay(true);
    const mode = (): LinkMode => this.#mode;
    const up = new Pipe(server, true, mode, this.#random);
    const down = new Pipe(client, false, mode, this.#random);
    const connection: Connection = {
      client,
      server,
      pipes: [up, down],
      losing: undefined,
      isStranded: false,
      isListening: false,
    };
    this.#connections.add(connection);
    const drop = (): void => {
      // The other end does not hear of it either.
      if (connection.isStranded && !this.#isClosing) return;
      this.#connections.delete(connection);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      socket.on('error', drop);
      socket.on('close', drop);
    }
    client.on('data', (chunk: Buffer) => {
      if (connection.isStranded) return;
      connection.isListening ||= /^\*\d+\r\n\$\d+\r\n(blpop|xread|subscribe)\r\n/i.test(chunk.toString('latin1'));
      this.#lookFor(chunk, connection);
      up.push(chunk);
    });
    server.on('data', (chunk: Buffer) => {
      if (connection.isStranded) return;
      if (connection.losing === undefined) down.push(chunk);
      else this.#lose(connection);
    });
    client.on('end', () => connection.isStranded || up.end());
    server.on('end', () => connection.isStranded || down.end());
  }

  #lookFor(chunk: Buffer, connection: Connection): void {
    const trap = this.#traps.find(({ needle }) => chunk.includes(needle));
    if (trap === undefined || connection.losing !== undefined) return;
    this.#traps = this.#traps.filter((one) => one !== trap);
    connection.losing = trap.done;
  }

  #lose(connection: Connection): void {
    const { losing } = connection;
    connection.losing = () => undefined;
    setTimeout(() => {
      connection.client.resetAndDestroy();
      connection.server.resetAndDestroy();
      losing?.();
    }, CUT_AFTER_MS);
  }
}
