import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Responder } from '../../src/inbound/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { testDatabase, testRedis } from '../support/services.ts';
import { callProgram, PHONE_NUMBER_ID, programSettings, runProgram } from '../support/program.ts';

export const EVENTS_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
export const RESPONDER_SECRET = 'responder-secret-of-these-tests';
export { PHONE_NUMBER_ID };

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: {
    readonly type: string;
    readonly timestamp: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
  /** Monotonic, ms. */
  readonly atMs: number;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly waitMs?: number;
}

/** A real HTTP server on loopback that writes down what it gets. */
export interface Receiver {
  readonly url: string;
  readonly received: Received[];
  answer: (received: Received) => Answer | Promise<Answer>;
  close(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const receiver: Pick<Receiver, 'answer'> = { answer: () => ({}) };
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const one: Received = {
        headers: request.headers,
        text,
        body: JSON.parse(text) as Received['body'],
        atMs: performance.now(),
      };
      received.push(one);
      void Promise.resolve(receiver.answer(one)).then(async ({ status = 200, headers = {}, body, waitMs = 0 }) => {
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
        response.writeHead(status, headers);
        response.end(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(receiver, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}

export interface World {
  readonly emulator: Emulator;
  readonly program: Program;
  readonly url: string;
  readonly databaseUrl: string;
  /** Asks the API: `/admin` as an admin, everything else with the platform's key. */
  call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ readonly status: number; readonly body: Record<string, unknown> }>;
  stop(): Promise<void>;
}

/** The whole program with an emulated WhatsApp on both sides of it. */
export async function startWorld(
  settings: Readonly<Record<string, string>>,
  options: { readonly responder?: Responder } = {},
): Promise<World> {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  const emulator = await startEmulator({
    appSecret: 'app-secret',
    settings: { statuses: { sentDelayMs: 5, deliveredDelayMs: 20, readDelayMs: 20, jitterMs: 5 } },
  });
  const program = await runProgram(
    programSettings(
      { redis, database, emulator },
      { QUEUE_BACKOFF_DELAY: '50', DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL: 'true', ...settings },
    ),
    'all',
    options,
  );
  const url = program.server?.url ?? '';
  emulator.patch({ webhook: { url: `${url}/webhooks/whatsapp/cloud` } });
  return {
    emulator,
    program,
    url,
    databaseUrl: database.url,
    async call(method, path, body) {
      const response = await callProgram(program, path, body, method);
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    async stop() {
      await program.stop();
      await emulator.stop();
    },
  };
}

/** A Cloud API webhook with one text, byte by byte the same at every call. */
export async function postWebhook(url: string, from: string, id: string, words: string): Promise<void> {
  const value = {
    messaging_product: 'whatsapp',
    metadata: { display_phone_number: '15550000001', phone_number_id: PHONE_NUMBER_ID },
    contacts: [{ profile: { name: 'Amira' }, wa_id: from.slice(1) }],
    messages: [
      {
        from: from.slice(1),
        id,
        timestamp: String(Math.floor(Date.now() / 60_000) * 60),
        type: 'text',
        text: { body: words },
      },
    ],
  };
  const entry = [{ id: 'waba', changes: [{ field: 'messages', value }] }];
  const body = JSON.stringify({ object: 'whatsapp_business_account', entry });
  const signature = createHmac('sha256', 'app-secret').update(body).digest('hex');
  const answer = await fetch(`${url}/webhooks/whatsapp/cloud`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` },
  });
  if (answer.status !== 200) throw new Error(`the webhook was answered with ${answer.status}`);
}
