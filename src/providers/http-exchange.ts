import type { IncomingHttpHeaders } from 'node:http';
import { Pool, type Dispatcher } from 'undici';
import { onAbort } from './abort-fanout.ts';

/**
 * One HTTP request and its answer, with the one question answered that a queue must ask: can the other side have
 * seen any of it?
 *
 *   waiting ──▶ started ──▶ answering ──▶ answer
 *      │            │            │
 *      ▼            └─────┬──────┘
 *   not-sent             lost
 *
 * `waiting` ends in undici's `onRequestStart`, which it calls in the tick in which it writes the request to a
 * connected socket (TLS included), and which may still throw to keep every byte back. Whatever goes wrong before it
 * is `not-sent`; whatever goes wrong after it is `lost`, also when the socket turns out to have been dead.
 * undici never repeats a request by itself here (no retry handler, no pipelining); should it ever call
 * `onRequestStart` twice, the second call throws.
 */
export interface HttpExchangeOptions {
  /** Time to open a connection, TLS included, ms. Kept by undici's coarse timer: up to 1 s late. Default 4,000. */
  readonly connectTimeoutMs?: number;
  /** Time from the request's last byte to the answer's headers, ms. Default 10,000. */
  readonly headersTimeoutMs?: number;
  /** Longest silence within the answer's body, ms. Default 5,000. */
  readonly bodyTimeoutMs?: number;
  /**
   * Time for everything, waiting for a free connection included, ms. Kept exactly, unless this process stood still: then
   * up to 0.4 s more. Default 12,000.
   */
  readonly deadlineMs?: number;
  /** Connections per origin. Default 256. */
  readonly connectionsMax?: number;
  /**
   * How long an idle connection is kept when the server names no time of its own, ms. Default 4,000: a server that
   * closes first turns the next request into a lost one, so short is safe.
   */
  readonly keepAliveMs?: number;
  /** Longest answer body that is read. Default 1 MiB. */
  readonly answerBytesMax?: number;
  /** Certificates to trust instead of the system's, PEM. */
  readonly ca?: string;
}

export interface ExchangeRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal?: AbortSignal;
  /** See `ProviderSend.beforeFirstByte`. */
  readonly beforeFirstByte?: () => boolean;
}

export type ExchangeResult =
  | {
      readonly kind: 'answer';
      readonly httpStatus: number;
      readonly headers: IncomingHttpHeaders;
      readonly body: Buffer;
    }
  /** No byte left. `code` is a Node or undici error code, or `ABORTED`, `NOT_ALLOWED`, `DEADLINE`, `CLOSED`. */
  | { readonly kind: 'not-sent'; readonly code: string }
  /** Bytes left and no whole answer came. `code` as above, or `ANSWER_TOO_LARGE`. */
  | { readonly kind: 'lost'; readonly code: string; readonly httpStatus?: number };

/** A deadline that is noticed this much later than it was due: the process stood still. */
const LATE_MS = 50;
/**
 * What it asked may have been answered meanwhile, or was written as it woke. To read the answer is better than not to
 * know. Shorter than the 500 ms that `providerDeadlineMs()` leaves to the engine's own bound.
 */
const WOKEN_MS = 400;

/** Ends an exchange from our side; `code` becomes the result's. */
class Stop extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Node's and undici's error codes; the text of an error may hold addresses, so it is never passed on. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0 && !('code' in error)) return codeOf(error.errors[0]);
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return 'UNKNOWN';
}

class Exchange implements Dispatcher.DispatchHandler {
  readonly result: Promise<ExchangeResult>;
  readonly #request: ExchangeRequest;
  readonly #answerBytesMax: number;
  #deadline: NodeJS.Timeout;
  readonly #offAbort: (() => void) | undefined;
  readonly #chunks: Buffer[] = [];
  #resolve!: (result: ExchangeResult) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #started = false;
  #settled = false;
  #bytes = 0;
  #httpStatus: number | undefined;
  #headers: IncomingHttpHeaders = {};

  constructor(request: ExchangeRequest, deadlineMs: number, answerBytesMax: number) {
    this.#request = request;
    this.#answerBytesMax = answerBytesMax;
    this.result = new Promise((resolve) => (this.#resolve = resolve));
    const dueAtMs = performance.now() + deadlineMs;
    this.#deadline = setTimeout(() => {
      const isLate = this.#started && performance.now() - dueAtMs > LATE_MS;
      if (isLate) this.#deadline = setTimeout(() => this.stop('DEADLINE'), WOKEN_MS);
      // One turn of the event loop later in any case: the answer may wait in the socket already.
      else setImmediate(() => this.stop('DEADLINE'));
    }, deadlineMs);
    if (request.signal?.aborted === true) this.stop('ABORTED');
    else if (request.signal !== undefined) this.#offAbort = onAbort(request.signal, () => this.stop('ABORTED'));
  }

  get settled(): boolean {
    return this.#isSettled();
  }

  /** Ends the exchange now. A request that still waits for a connection is never written. */
  stop(code: string): void {
    this.#fail(code);
    this.#controller?.abort(new Stop(code));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#started) throw new Stop('STARTED_TWICE');
    if (!this.#isSettled() && !this.#allowed()) this.#fail('NOT_ALLOWED');
    // Throwing keeps the connection open for others; aborting would close it.
    if (this.#isSettled()) throw new Stop('NOT_ALLOWED');
    this.#started = true;
    this.#controller = controller;
  }

  onResponseStart(_controller: Dispatcher.DispatchController, httpStatus: number, headers: IncomingHttpHeaders): void {
    if (httpStatus < 200) return;
    this.#httpStatus = httpStatus;
    this.#headers = headers;
    if (Number(headers['content-length'] ?? 0) > this.#answerBytesMax) this.stop('ANSWER_TOO_LARGE');
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#answerBytesMax) this.stop('ANSWER_TOO_LARGE');
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const httpStatus = this.#httpStatus ?? 0;
    this.#settle({ kind: 'answer', httpStatus, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(codeOf(error));
  }

  /** A call, because the compiler does not expect callbacks to change a field between two reads of it. */
  #isSettled(): boolean {
    return this.#settled;
  }

  #allowed(): boolean {
    try {
      return this.#request.beforeFirstByte?.() ?? true;
    } catch {
      return false;
    }
  }

  #fail(code: string): void {
    if (!this.#started) this.#settle({ kind: 'not-sent', code });
    else if (this.#httpStatus === undefined) this.#settle({ kind: 'lost', code });
    else this.#settle({ kind: 'lost', code, httpStatus: this.#httpStatus });
  }

  #settle(result: ExchangeResult): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#deadline);
    this.#offAbort?.();
    this.#resolve(result);
  }
}

/** POST requests over keep-alive connections: one pool per origin. Never throws, never repeats, follows no redirect. */
export class HttpExchange {
  readonly #options: Required<Omit<HttpExchangeOptions, 'ca'>> & { readonly ca?: string };
  readonly #pools = new Map<string, Pool>();
  #closed: Promise<void> | undefined;

  constructor(options: HttpExchangeOptions = {}) {
    this.#options = {
      connectTimeoutMs: 4_000,
      headersTimeoutMs: 10_000,
      bodyTimeoutMs: 5_000,
      deadlineMs: 12_000,
      connectionsMax: 256,
      keepAliveMs: 4_000,
      answerBytesMax: 1_048_576,
      ...options,
    };
  }

  post(request: ExchangeRequest): Promise<ExchangeResult> {
    if (this.#closed !== undefined) return Promise.resolve({ kind: 'not-sent', code: 'CLOSED' });
    const exchange = new Exchange(request, this.#options.deadlineMs, this.#options.answerBytesMax);
    if (!exchange.settled) {
      const { url, headers, body } = request;
      this.#pool(url.origin).dispatch({ method: 'POST', path: url.pathname + url.search, headers, body }, exchange);
    }
    return exchange.result;
  }

  /** Lets what is under way end (each has its deadline), then closes all connections. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= Promise.all([...this.#pools.values()].map((pool) => this.#closePool(pool))).then(() => undefined);
    return this.#closed;
  }

  async #closePool(pool: Pool): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.#options.deadlineMs)));
    await Promise.race([pool.close(), late]);
    clearTimeout(timer);
    if (!pool.destroyed) await pool.destroy();
  }

  #pool(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const { ca, connectTimeoutMs, headersTimeoutMs, bodyTimeoutMs, connectionsMax, keepAliveMs } = this.#options;
    const pool = new Pool(origin, {
      connections: connectionsMax,
      // A second request behind an unanswered one would be lost with it.
      pipelining: 1,
      allowH2: false,
      connect: { timeout: connectTimeoutMs, ...(ca === undefined ? {} : { ca }) },
      headersTimeout: headersTimeoutMs,
      bodyTimeout: bodyTimeoutMs,
      keepAliveTimeout: keepAliveMs,
    });
    this.#pools.set(origin, pool);
    return pool;
  }
}
