import diagnostics from 'node:diagnostics_channel';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HttpExchange, type ExchangeRequest, type HttpExchangeOptions } from '../../src/providers/http-exchange.ts';
import { answer, FakeServer } from '../conformance/fake-server.ts';

describe('HttpExchange', () => {
  let server: FakeServer;
  const exchanges: HttpExchange[] = [];

  beforeEach(async () => {
    server = await FakeServer.start();
    server.behaviour = answer(200, '{}');
  });
  afterEach(async () => {
    await server.stop();
    await Promise.all(exchanges.splice(0).map((exchange) => exchange.close()));
  });

  function create(options: HttpExchangeOptions = {}): HttpExchange {
    const exchange = new HttpExchange(options);
    exchanges.push(exchange);
    return exchange;
  }
  function request(overrides: Partial<ExchangeRequest> = {}): ExchangeRequest {
    const url = overrides.url ?? new URL('/x?y=1', server.url());
    return { headers: { 'x-test': '1' }, body: 'hello', ...overrides, url };
  }

  it('asks beforeFirstByte in the very turn in which the request is written, on new and re-used connections', async () => {
    const exchange = create();
    const order: string[] = [];
    const onSend = (): void => void order.push('written');
    diagnostics.subscribe('undici:client:sendHeaders', onSend);
    try {
      for (let n = 0; n < 2; n++) {
        const beforeFirstByte = (): boolean => {
          order.push('asked');
          // A microtask runs as soon as the present turn ends: it must come after the write.
          queueMicrotask(() => order.push('turn over'));
          return true;
        };
        expect(await exchange.post(request({ beforeFirstByte }))).toMatchObject({ kind: 'answer' });
        await nextTurn();
      }
    } finally {
      diagnostics.unsubscribe('undici:client:sendHeaders', onSend);
    }
    expect(order).toEqual(['asked', 'written', 'turn over', 'asked', 'written', 'turn over']);
    expect(server.connections).toBe(1);
  });

  it('a request called off while it waits for a free connection is not-sent, and never asked or written later', async () => {
    const exchange = create({ connectionsMax: 1 });
    const reply = answer(200, '{}');
    let release: (() => void) | undefined;
    server.behaviour = (socket, received) => (release = () => reply(socket, received));
    const arrived = server.nextRequest();
    const first = exchange.post(request({ body: 'first' }));
    await arrived;
    let asked = 0;
    const beforeFirstByte = (): boolean => ++asked > 0;
    const abort = new AbortController();
    const second = exchange.post(request({ body: 'second', beforeFirstByte, signal: abort.signal }));
    const third = exchange.post(request({ body: 'third' }));
    abort.abort();
    expect(await second).toEqual({ kind: 'not-sent', code: 'ABORTED' });
    server.behaviour = reply;
    release?.();
    expect([await first, await third]).toMatchObject([{ kind: 'answer' }, { kind: 'answer' }]);
    expect(server.requests.map(({ body }) => body)).toEqual(['first', 'third']);
    expect(server.connections).toBe(1);
    expect(asked).toBe(0);
  });

  it('never opens more connections than allowed, and answers all that wait', async () => {
    const exchange = create({ connectionsMax: 3 });
    const results = await Promise.all(Array.from({ length: 60 }, () => exchange.post(request())));
    expect(results.every(({ kind }) => kind === 'answer')).toBe(true);
    expect(server.connections).toBe(3);
  });

  it('all that wait for a refused connection are not-sent, and the pool recovers', async () => {
    const exchange = create({ connectionsMax: 1, deadlineMs: 5_000 });
    const url = new URL('/x', server.url());
    await server.stop();
    const results = await Promise.all(Array.from({ length: 5 }, () => exchange.post(request({ url }))));
    expect(results).toEqual(Array.from({ length: 5 }, () => ({ kind: 'not-sent', code: 'ECONNREFUSED' })));
    server = await FakeServer.start('http', Number(url.port));
    server.behaviour = answer(200, '{}');
    expect(await exchange.post(request())).toMatchObject({ kind: 'answer' });
  });

  it('has one pool per origin', async () => {
    const other = await FakeServer.start();
    try {
      other.behaviour = answer(204, '');
      const exchange = create({ connectionsMax: 1 });
      const url = new URL('/x', other.url());
      const [one, two] = await Promise.all([exchange.post(request()), exchange.post(request({ url }))]);
      expect([one, two]).toMatchObject([
        { kind: 'answer', httpStatus: 200 },
        { kind: 'answer', httpStatus: 204 },
      ]);
      expect([server.connections, other.connections]).toEqual([1, 1]);
    } finally {
      await other.stop();
    }
  });

  it('an answer of exactly the largest size is read, one byte more is lost', async () => {
    const exchange = create({ answerBytesMax: 1_000 });
    server.behaviour = answer(200, 'x'.repeat(1_000));
    expect(await exchange.post(request())).toMatchObject({ kind: 'answer' });
    server.behaviour = answer(200, 'x'.repeat(1_001));
    expect(await exchange.post(request())).toEqual({ kind: 'lost', code: 'ANSWER_TOO_LARGE', httpStatus: 200 });
  });

  it('an answer without a length is given up as soon as it is too large', async () => {
    const exchange = create({ answerBytesMax: 100_000, bodyTimeoutMs: 60_000, deadlineMs: 60_000 });
    let written = 0;
    server.behaviour = (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const more = (): void => {
        if (socket.destroyed) return;
        written += 1_000;
        socket.write(`3e8\r\n${'x'.repeat(1_000)}\r\n`, () => setImmediate(more));
      };
      more();
    };
    expect(await exchange.post(request())).toEqual({ kind: 'lost', code: 'ANSWER_TOO_LARGE', httpStatus: 200 });
    expect(written).toBeLessThan(10_000_000);
  });

  it('does not hold the time in which this process stood still against the other side', async () => {
    const exchange = create({ deadlineMs: 100 });
    const standStill = (): boolean => {
      const until = performance.now() + 300;
      while (performance.now() < until);
      return true;
    };
    expect(await exchange.post(request({ beforeFirstByte: standStill }))).toMatchObject({ kind: 'answer' });
    server.behaviour = () => undefined;
    expect(await exchange.post(request({ beforeFirstByte: standStill }))).toEqual({ kind: 'lost', code: 'DEADLINE' });
  });

  it('close() lets a request under way end', async () => {
    const exchange = create();
    let release: (() => void) | undefined;
    const reply = answer(200, '{}');
    server.behaviour = (socket, received) => (release = () => reply(socket, received));
    const arrived = server.nextRequest();
    const result = exchange.post(request());
    await arrived;
    const closed = exchange.close();
    expect(await exchange.post(request())).toEqual({ kind: 'not-sent', code: 'CLOSED' });
    release?.();
    expect(await result).toMatchObject({ kind: 'answer' });
    await closed;
  });

  it('leaves no listener on a signal that outlives the request', async () => {
    const abort = new AbortController();
    let listeners = 0;
    const signal = abort.signal;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const exchange = create();
    await Promise.all(Array.from({ length: 20 }, () => exchange.post(request({ signal }))));
    expect(listeners).toBe(0);
  });

  it('one signal ends all requests that share it, without a warning of too many listeners', async () => {
    const abort = new AbortController();
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    try {
      const exchange = create();
      server.behaviour = () => {
        if (server.requests.length === 40) abort.abort();
      };
      const results = await Promise.all(
        Array.from({ length: 40 }, () => exchange.post(request({ signal: abort.signal }))),
      );
      expect(results).toEqual(Array.from({ length: 40 }, () => ({ kind: 'lost', code: 'ABORTED' })));
      await nextTurn();
    } finally {
      process.off('warning', onWarning);
    }
    expect(warnings).toEqual([]);
  });
});
