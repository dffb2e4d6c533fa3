import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageProvider, ProviderOutcome, ProviderSend } from '../../src/providers/contract.ts';
import { watchStandstill } from '../support/standstill.ts';
import { answer, FakeServer, raw, type Behaviour } from './fake-server.ts';

/** An answer of the provider under test. */
export interface CannedAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ConformanceTimeouts {
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly bodyTimeoutMs: number;
  readonly deadlineMs: number;
}

/** What the suite must know of an adapter. */
export interface ConformanceHarness {
  createProvider(timeouts: ConformanceTimeouts): MessageProvider;
  /** A valid message to be sent to the provider at this origin. */
  makeSend(origin: string): ProviderSend;
  /** Values of that message and its account that no error may show. */
  readonly secrets: readonly string[];
  readonly taken: CannedAnswer & { readonly providerMessageId: string };
  /** Success without what proves it. */
  readonly takenWithoutId: CannedAnswer;
  /** The provider's own words for: this message can never be sent. */
  readonly refusedForGood: CannedAnswer & { readonly providerCode: string };
  /** The provider's own error with a 5xx status. */
  readonly serverError: CannedAnswer & { readonly providerCode: string };
  /** The provider's own error for too many requests; the suite adds `Retry-After: 7`. */
  readonly tooMany: CannedAnswer;
}

/** Long enough for a busy machine: a test that does not wait for a timeout must never meet one. */
const PATIENT: ConformanceTimeouts = {
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  bodyTimeoutMs: 10_000,
  deadlineMs: 15_000,
};
const HASTY_CONNECT: ConformanceTimeouts = { ...PATIENT, connectTimeoutMs: 300 };
const HASTY_ANSWER: ConformanceTimeouts = { ...PATIENT, headersTimeoutMs: 300, bodyTimeoutMs: 300 };
const DEADLINE_FIRST: ConformanceTimeouts = {
  connectTimeoutMs: 60_000,
  headersTimeoutMs: 60_000,
  bodyTimeoutMs: 60_000,
  deadlineMs: 1_000,
};
const BIG_BYTES = 10 * 1024 * 1024;

/** What every provider adapter must do, shown on a server that misbehaves on the level of sockets. */
export function providerConformance(name: string, makeHarness: () => ConformanceHarness): void {
  describe(`${name}: provider conformance`, () => {
    let harness: ConformanceHarness;
    let server: FakeServer;
    let provider: MessageProvider;
    const extraServers: FakeServer[] = [];
    const extraProviders: MessageProvider[] = [];

    beforeEach(async () => {
      harness = makeHarness();
      server = await FakeServer.start();
      provider = harness.createProvider(PATIENT);
    });
    afterEach(async () => {
      // The servers go first: a connection that hangs would hold the provider's close() up.
      await Promise.all([server, ...extraServers.splice(0)].map((one) => one.stop()));
      await Promise.all([provider, ...extraProviders.splice(0)].map((one) => one.close()));
    });

    async function startServer(kind: 'http' | 'https'): Promise<FakeServer> {
      const extra = await FakeServer.start(kind);
      extraServers.push(extra);
      return extra;
    }
    function useTimeouts(timeouts: ConformanceTimeouts): void {
      extraProviders.push(provider);
      provider = harness.createProvider(timeouts);
    }
    async function send(overrides: Partial<ProviderSend> = {}, origin = server.url()): Promise<ProviderOutcome> {
      const outcome = await provider.send({ ...harness.makeSend(origin), ...overrides });
      if (outcome.kind !== 'sent') expectClean(outcome);
      return outcome;
    }
    function expectClean(outcome: Exclude<ProviderOutcome, { kind: 'sent' }>): void {
      const text = JSON.stringify(outcome);
      for (const secret of harness.secrets) expect(text).not.toContain(secret);
      expect(outcome.error.title).not.toBe('');
      expect(outcome.error.detail).toMatch(/\.$/);
    }
    // A client may give a connection free only in the turn of the event loop after the answer (`nextTurn`).
    const canned = ({ status, body, headers }: CannedAnswer): Behaviour => answer(status, body, headers);

    describe('sent', () => {
      it('gives the id by which the provider knows the message', async () => {
        server.behaviour = canned(harness.taken);
        expect(await send()).toEqual({
          kind: 'sent',
          providerMessageId: harness.taken.providerMessageId,
          httpStatus: harness.taken.status,
        });
      });

      it('keeps the connection for the next message', async () => {
        server.behaviour = canned(harness.taken);
        for (let n = 0; n < 3; n++) {
          expect(await send()).toMatchObject({ kind: 'sent' });
          await nextTurn();
        }
        expect(server.connections).toBe(1);
      });

      it('understands an answer that arrives byte by byte', async () => {
        const { status, body } = harness.taken;
        const text = `HTTP/1.1 ${status} OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
        server.behaviour = (socket) => {
          let at = 0;
          const next = (): void => {
            if (at < text.length) socket.write(text.charAt(at++), () => setImmediate(next));
          };
          next();
        };
        expect(await send()).toMatchObject({ kind: 'sent' });
      });
    });

    describe('rejected', () => {
      it('a definite refusal carries the code of the provider and is final', async () => {
        server.behaviour = canned(harness.refusedForGood);
        expect(await send()).toMatchObject({
          kind: 'rejected',
          httpStatus: harness.refusedForGood.status,
          error: { providerCode: harness.refusedForGood.providerCode, retryable: false },
        });
      });

      it('a 5xx with the own error of the provider is never ambiguous', async () => {
        server.behaviour = canned(harness.serverError);
        expect(await send()).toMatchObject({
          kind: 'rejected',
          httpStatus: harness.serverError.status,
          error: { providerCode: harness.serverError.providerCode, retryable: true },
        });
      });

      it('too many requests: retryable, and Retry-After is honoured', async () => {
        server.behaviour = canned({ ...harness.tooMany, headers: { 'retry-after': '7' } });
        const outcome = await send();
        expect(outcome).toMatchObject({ kind: 'rejected', error: { retryable: true } });
        expect(outcome.kind === 'rejected' ? outcome.retryAfterMs : 0).toBeGreaterThanOrEqual(7_000);
      });

      it('429 of a proxy in between, with Retry-After as a date', async () => {
        const date = new Date(Date.now() + 60_000).toUTCString();
        server.behaviour = answer(429, '<h1>slow down</h1>', { 'retry-after': date });
        const outcome = await send();
        expect(outcome).toMatchObject({ kind: 'rejected', error: { retryable: true } });
        const waitMs = outcome.kind === 'rejected' ? (outcome.retryAfterMs ?? 0) : 0;
        expect(waitMs).toBeGreaterThan(50_000);
        expect(waitMs).toBeLessThanOrEqual(60_000);
      });

      it('a redirect is not followed', async () => {
        const elsewhere = await startServer('http');
        server.behaviour = answer(307, '', { location: `${elsewhere.url()}/elsewhere` });
        expect(await send()).toMatchObject({ kind: 'rejected', httpStatus: 307 });
        expect(elsewhere.connections).toBe(0);
      });
    });

    describe('not-sent', () => {
      it('a refused connection', async () => {
        const origin = server.url();
        await server.stop();
        expect(await send({}, origin)).toMatchObject({ kind: 'not-sent', error: { retryable: true } });
      });

      it('a name that does not exist', async () => {
        expect(await send({}, 'http://waxwing-test.invalid')).toMatchObject({ kind: 'not-sent' });
      });

      it('a certificate that nobody trusts', async () => {
        const secure = await startServer('https');
        expect(await send({}, secure.url())).toMatchObject({ kind: 'not-sent' });
        expect(secure.requests).toHaveLength(0);
      });

      it('a server that does not speak TLS', async () => {
        server.behaviour = raw('HTTP/1.1 400 Bad Request\r\n\r\n');
        const plain = await startServer('http');
        plain.behaviour = raw('no TLS here');
        // Some clients wait for the rest of what cannot be TLS.
        useTimeouts(HASTY_CONNECT);
        const outcome = await send({}, plain.url('https'));
        expect(outcome).toMatchObject({ kind: 'not-sent' });
      });

      it('a connection that does not come about in time', async () => {
        // It accepts and then stays silent, so the TLS handshake never ends.
        useTimeouts(HASTY_CONNECT);
        const standstill = watchStandstill();
        const startedMs = performance.now();
        expect(await send({}, server.url('https'))).toMatchObject({ kind: 'not-sent' });
        expect(performance.now() - startedMs).toBeLessThan(5_000 + standstill.ms());
      });

      it('the deadline, while no connection has come about', async () => {
        useTimeouts(DEADLINE_FIRST);
        expect(await send({}, server.url('https'))).toMatchObject({ kind: 'not-sent' });
      });

      it('an abort before anything happened', async () => {
        expect(await send({ signal: AbortSignal.abort() })).toMatchObject({ kind: 'not-sent' });
        expect(server.connections).toBe(0);
      });

      it('an abort while the connection is being opened', async () => {
        const abort = new AbortController();
        let asked = 0;
        const beforeFirstByte = (): boolean => ++asked > 0;
        const outcome = send({ signal: abort.signal, beforeFirstByte }, server.url('https'));
        abort.abort();
        expect(await outcome).toMatchObject({ kind: 'not-sent' });
        expect(asked).toBe(0);
      });

      it('beforeFirstByte says no on a new connection', async () => {
        expect(await send({ beforeFirstByte: () => false })).toMatchObject({ kind: 'not-sent' });
        expect(server.bytesReceived).toBe(0);
      });

      it('beforeFirstByte says no on a re-used connection, which stays usable', async () => {
        server.behaviour = canned(harness.taken);
        await send();
        await nextTurn();
        const bytes = server.bytesReceived;
        expect(await send({ beforeFirstByte: () => false })).toMatchObject({ kind: 'not-sent' });
        expect(server.bytesReceived).toBe(bytes);
        expect(await send()).toMatchObject({ kind: 'sent' });
        expect(server.connections).toBe(1);
      });

      it('beforeFirstByte throws', async () => {
        const beforeFirstByte = (): boolean => {
          throw new Error('broken');
        };
        expect(await send({ beforeFirstByte })).toMatchObject({ kind: 'not-sent' });
        expect(server.bytesReceived).toBe(0);
      });

      it('an abort within beforeFirstByte', async () => {
        const abort = new AbortController();
        const beforeFirstByte = (): boolean => {
          abort.abort();
          return true;
        };
        expect(await send({ signal: abort.signal, beforeFirstByte })).toMatchObject({ kind: 'not-sent' });
        expect(server.bytesReceived).toBe(0);
      });

      it('after close()', async () => {
        await provider.close();
        await provider.close();
        expect(await send()).toMatchObject({ kind: 'not-sent' });
        expect(server.connections).toBe(0);
      });
    });

    describe('ambiguous, and the request is not repeated', () => {
      const cases: [string, Behaviour][] = [
        ['a server that takes the request and stays silent', () => undefined],
        ['a reset after the request', (socket) => socket.resetAndDestroy()],
        ['a close after the request', (socket) => socket.end()],
        ['a 5xx without an error of the provider', answer(500, '{"error":"internal"}')],
        ['a 503 with Retry-After of a load balancer', answer(503, 'busy', { 'retry-after': '3' })],
        ['a 502 in HTML', answer(502, '<html><h1>Bad gateway</h1></html>', { 'content-type': 'text/html' })],
        ['a 5xx of a proxy in JSON', answer(502, '{"error":{"code":502,"message":"upstream","status":"UNAVAILABLE"}}')],
        ['a 200 in HTML', answer(200, '<html>Welcome to our hotspot</html>', { 'content-type': 'text/html' })],
        ['a 200 with nothing in it', answer(200, '')],
        ['a 200 with half a JSON text', answer(200, '{"messages":[{"id":')],
        ['an answer that is no HTTP', raw('SSH-2.0-OpenSSH_9.2\r\n')],
        ['headers without end', raw(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}`)],
        ['a body that stops half-way', raw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"mess')],
        [
          'half a body, then a close',
          (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"messages":'),
        ],
        [
          'half a body of a refusal, then a reset',
          (socket) => {
            socket.write('HTTP/1.1 400 Bad\r\ncontent-length: 100\r\n\r\n{"err', () => socket.resetAndDestroy());
          },
        ],
        [
          'a body of 10 MB with its length',
          (socket) => {
            socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${BIG_BYTES}\r\n\r\n`);
            socket.write(Buffer.alloc(BIG_BYTES, 0x20));
          },
        ],
        [
          'a body of 10 MB in chunks',
          (socket) => {
            socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
            for (let sent = 0; sent < BIG_BYTES; sent += 65_536) {
              socket.write(`10000\r\n`);
              socket.write(Buffer.alloc(65_536, 0x20));
              socket.write('\r\n');
            }
          },
        ],
      ];
      it.each(cases)('%s', async (_title, behaviour) => {
        useTimeouts(HASTY_ANSWER);
        server.behaviour = behaviour;
        expect(await send()).toMatchObject({ kind: 'ambiguous', error: { retryable: true } });
        expect(server.requests).toHaveLength(1);
      });

      it('success without the id that proves it', async () => {
        server.behaviour = canned(harness.takenWithoutId);
        expect(await send()).toMatchObject({ kind: 'ambiguous' });
      });

      it('a body that drips until the deadline', async () => {
        useTimeouts(DEADLINE_FIRST);
        server.behaviour = (socket) => {
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
          const drip = setInterval(() => socket.write(' '), 20);
          socket.once('close', () => clearInterval(drip));
        };
        expect(await send()).toMatchObject({ kind: 'ambiguous' });
      });

      it('the deadline while the answer is awaited', async () => {
        useTimeouts(DEADLINE_FIRST);
        server.behaviour = () => undefined;
        expect(await send()).toMatchObject({ kind: 'ambiguous' });
      });

      it('an abort after the request left', async () => {
        const abort = new AbortController();
        server.behaviour = () => abort.abort();
        expect(await send({ signal: abort.signal })).toMatchObject({ kind: 'ambiguous' });
        expect(server.requests).toHaveLength(1);
      });

      it.each([
        ['reset', (socket) => socket.resetAndDestroy()],
        ['close', (socket) => socket.end()],
      ] as [string, Behaviour][])('a %s of a re-used connection after the request', async (_title, ending) => {
        const taken = canned(harness.taken);
        server.behaviour = (socket, request) => (request.onConnection === 1 ? taken : ending)(socket, request);
        expect(await send()).toMatchObject({ kind: 'sent' });
        await nextTurn();
        expect(await send()).toMatchObject({ kind: 'ambiguous' });
        expect(server.connections).toBe(1);
        expect(server.requests).toHaveLength(2);
        // The next message gets a connection of its own.
        expect(await send()).toMatchObject({ kind: 'sent' });
        expect(server.connections).toBe(2);
      });
    });

    it('beforeFirstByte is asked once, and only when a connection is there', async () => {
      server.behaviour = canned(harness.taken);
      let asked = 0;
      const beforeFirstByte = (): boolean => ++asked > 0;
      expect(await send({ beforeFirstByte })).toMatchObject({ kind: 'sent' });
      expect(asked).toBe(1);
      useTimeouts(HASTY_CONNECT);
      // A handshake that never ends: the connection is not there, so nobody is asked.
      expect(await send({ beforeFirstByte }, (await startServer('http')).url('https'))).toMatchObject({
        kind: 'not-sent',
      });
      expect(asked).toBe(1);
    });

    it('two hundred messages at once, each answered with its own outcome', async () => {
      const taken = canned(harness.taken);
      const refused = canned(harness.refusedForGood);
      server.behaviour = (socket, request) => (server.requests.length % 2 === 0 ? taken : refused)(socket, request);
      const outcomes = await Promise.all(Array.from({ length: 200 }, () => send()));
      expect(outcomes.filter(({ kind }) => kind === 'sent')).toHaveLength(100);
      expect(outcomes.filter(({ kind }) => kind === 'rejected')).toHaveLength(100);
    });
  });
}
