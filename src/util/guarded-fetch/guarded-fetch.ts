import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, request } from 'undici';
import { addressFault, RECEIVER_PORTS } from './address-fault.ts';
import { isPublicAddress } from './addresses.ts';
import { GuardedFetchError } from './errors.ts';

export interface GuardedFetchOptions {
  /**
   * Also private addresses, plain http and any port: DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL, for development.
   * Default false.
   */
  readonly allowPrivate?: boolean;
  /** Longest time for the whole exchange, name look-up to last byte, ms. Default 15,000. */
  readonly timeoutMs?: number;
  /** Longest answer that is read, bytes. Default 65,536. */
  readonly answerBytesMax?: number;
  /** Ports that may be called. Default 443 and 8443. */
  readonly ports?: readonly number[];
  /** All addresses of a host name; default the system's resolver. */
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
}

export interface GuardedRequest {
  /** Default POST. */
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

export interface GuardedAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The whole answer as text. Ours to read, never to show to whoever chose the address. */
  readonly body: string;
}

/** Calls addresses that tenants or operators chose, without ever reaching into our own network. */
export interface GuardedFetch {
  /**
   * Calls `url` once and reads the answer, whatever its status; a redirect is an error, not an answer.
   * @throws GuardedFetchError, whose `reason` says why
   */
  (url: string, request?: GuardedRequest): Promise<GuardedAnswer>;
  /**
   * What is wrong with the address itself, as a sentence; null = nothing. Looks nothing up: for checking a setting or
   * a request body early.
   */
  faultOf(url: string): string | null;
  /** Closes idle connections. Calls under way end with `network`. */
  close(): Promise<void>;
}

const TIMEOUT_MS = 15_000;
const ANSWER_BYTES_MAX = 64 * 1024;
/** Short, so that a name that moved is looked up (and checked) again soon. */
const KEEP_ALIVE_MS = 4000;

export function createGuardedFetch(options: GuardedFetchOptions = {}): GuardedFetch {
  const {
    allowPrivate = false,
    timeoutMs = TIMEOUT_MS,
    answerBytesMax = ANSWER_BYTES_MAX,
    ports = RECEIVER_PORTS,
  } = options;
  const resolve = options.resolve ?? resolveBySystem;

  /** Looks a name up once and answers with what it checked: nobody asks again between the check and the connection. */
  const checkedLookup: LookupFunction = (hostname, { all }, callback) => {
    addressesOf(hostname, resolve, allowPrivate).then(
      (addresses) => {
        const list = addresses.map((address) => ({ address, family: isIP(address) }));
        const [first] = list;
        if (all === true) callback(null, list);
        else callback(null, first?.address ?? '', first?.family ?? 0);
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
    );
  };
  const agent = new Agent({
    connect: { lookup: checkedLookup, timeout: timeoutMs, autoSelectFamily: true },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: 16 * 1024,
    // Answers of one address may be slow: several at once, but no crowd at somebody else's door.
    connections: 32,
    pipelining: 1,
  });

  const faultOf = (text: string): string | null => addressFault(text, { allowPrivate, ports });

  const call = async (text: string, { method = 'POST', headers, body, signal }: GuardedRequest = {}) => {
    const fault = faultOf(text);
    // The host of an address in numbers never passes the look-up below: it is judged here, or by nobody.
    if (fault !== null) throw new GuardedFetchError('url', fault);
    const timer = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await request(text, {
        dispatcher: agent,
        method,
        signal: signal === undefined ? timer : AbortSignal.any([timer, signal]),
        ...(headers === undefined ? {} : { headers }),
        ...(body === undefined ? {} : { body }),
      });
      if (answer.statusCode >= 300 && answer.statusCode < 400) {
        answer.body.on('error', () => undefined).destroy();
        throw new GuardedFetchError('redirect', `It answered ${answer.statusCode}; redirects are not followed.`);
      }
      return { status: answer.statusCode, headers: answer.headers, body: await readAll(answer.body, answerBytesMax) };
    } catch (error) {
      throw asGuardedError(error, timer.aborted);
    }
  };
  return Object.assign(call, { faultOf, close: () => agent.destroy() });
}

async function resolveBySystem(hostname: string): Promise<string[]> {
  return (await systemLookup(hostname, { all: true })).map(({ address }) => address);
}

async function addressesOf(
  hostname: string,
  resolve: (hostname: string) => Promise<readonly string[]>,
  allowPrivate: boolean,
): Promise<readonly string[]> {
  let addresses: readonly string[];
  try {
    addresses = await resolve(hostname);
  } catch (error) {
    throw new GuardedFetchError('dns', 'Its host has no address.', { cause: error });
  }
  if (addresses.length === 0) throw new GuardedFetchError('dns', 'Its host has no address.');
  // Every one must be good: with one bad among them, a second try could be led to it.
  if (!allowPrivate && !addresses.every(isPublicAddress)) {
    throw new GuardedFetchError('address', 'Its host leads to an address that is not on the public internet.');
  }
  return addresses;
}

async function readAll(body: AsyncIterable<Buffer> & { destroy(): unknown }, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop destroys the stream, and with it the connection: the rest is never read.
    if (bytes > bytesMax) throw new GuardedFetchError('too-large', `The answer is longer than ${bytesMax} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const TIMEOUT_CODES = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
]);

function asGuardedError(error: unknown, isOverdue: boolean): GuardedFetchError {
  if (error instanceof GuardedFetchError) return error;
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  if (isOverdue || TIMEOUT_CODES.has(code)) {
    return new GuardedFetchError('timeout', 'It did not answer in time.', { cause: error });
  }
  return new GuardedFetchError('network', `The connection failed${code === '' ? '' : ` (${code})`}.`, { cause: error });
}
