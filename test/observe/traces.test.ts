import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* The whole program with a collector that listens on loopback: what it receives is what a person would see. */

interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

const CALLER = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const TEXT = 'Your table is ready, planted words.';
const spans: ReceivedSpan[] = [];
const bodies: string[] = [];
let collector: http.Server;
let emulator: Emulator;
let program: Program;

beforeAll(async () => {
  // Read by the exporter itself: spans leave in batches, five seconds apart by default.
  process.env['OTEL_BSP_SCHEDULE_DELAY'] = '200';
  collector = http.createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      bodies.push(text);
      const { resourceSpans } = JSON.parse(text) as { resourceSpans: { scopeSpans: { spans: ReceivedSpan[] }[] }[] };
      spans.push(...resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    })();
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator({
    appSecret: 'app-secret',
    settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 20, readDelayMs: 20, jitterMs: 5 } },
  });
  program = await runProgram(
    programSettings(
      { redis, database, emulator },
      { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${(collector.address() as AddressInfo).port}` },
    ),
  );
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
});

afterAll(async () => {
  delete process.env['OTEL_BSP_SCHEDULE_DELAY'];
  await program.stop();
  await emulator.stop();
  collector.close();
});

async function send(headers: Record<string, string>): Promise<string> {
  const response = await fetch(`${program.server?.url ?? ''}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${program.keys.apiKey}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ to: '+447700900123', type: 'text', text: { body: TEXT } }),
  });
  expect(response.status).toBe(202);
  return ((await response.json()) as { id: string }).id;
}

const attribute = (span: ReceivedSpan | undefined, key: string): unknown =>
  Object.values(span?.attributes.find((one) => one.key === key)?.value ?? {})[0];

describe('traces', () => {
  it("P5 · one trace leads from the caller's request over the attempt to every status", async () => {
    const id = await send({ traceparent: CALLER });
    const traceId = CALLER.split('-')[1];
    // They leave in batches, each when it has ended.
    const names = ['POST /v1/messages', 'accept message', 'send to provider', 'status sent', 'status delivered'];
    const mine = await eventually(
      () => {
        const found = new Map(spans.filter((span) => span.traceId === traceId).map((span) => [span.name, span]));
        return names.every((name) => found.has(name)) ? found : undefined;
      },
      { timeoutMs: 15_000 },
    );
    const request = mine.get('POST /v1/messages');
    expect(request?.parentSpanId).toBe(CALLER.split('-')[2]);
    expect(attribute(request, 'http.response.status_code')).toBe(202);
    const accept = mine.get('accept message');
    expect(accept?.parentSpanId).toBe(request?.spanId);
    expect(attribute(accept, 'waxwing.message.id')).toBe(id);
    const attempt = mine.get('send to provider');
    expect(attempt?.parentSpanId).toBe(accept?.spanId);
    expect(attribute(attempt, 'waxwing.outcome')).toBe('sent');
    expect(attribute(attempt, 'waxwing.attempt')).toBe(1);
    for (const status of ['status sent', 'status delivered']) {
      expect(mine.get(status)?.parentSpanId).toBe(attempt?.spanId);
    }
  });

  it('a trace that the caller does not keep is not recorded and leaves nothing in the message', async () => {
    const id = await send({ traceparent: CALLER.replace(/01$/, '00').replace('0af7', 'ffff') });
    await eventually(async () => (await program.messages.get(id, { kind: 'platform' })).status === 'read', {
      timeoutMs: 10_000,
    });
    const taken = emulator.ledger().at(-1);
    expect(JSON.stringify(taken)).not.toContain('ffff7651916cd43dd8448eb211c80319c');
    expect(spans.filter((span) => span.traceId.startsWith('ffff'))).toEqual([]);
  });

  it('no text, number or key of anybody is in what the collector gets', () => {
    const all = bodies.join('\n');
    expect(all).toContain('accept message');
    for (const secret of [TEXT, '447700900123', program.keys.apiKey]) expect(all).not.toContain(secret);
  });
});
