import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { startEmulator, type Emulator, type EmulatorOptions } from '../../src/emulator/index.ts';

export { eventually } from '../support/eventually.ts';

export const NUMBER = '1000';
export const CUSTOMER = '+491701234567';

/** An emulator that ends with its test. */
export async function emulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const started = await startEmulator(options);
  onTestFinished(() => started.stop());
  return started;
}

export interface Answered {
  readonly status: number;
  readonly body: Record<string, never> & {
    error?: { code: number; message: string; error_data?: { details: string } };
  };
  readonly text: string;
}

/** Sends as a Cloud API client would. */
export async function post(target: Emulator, body: unknown, number = NUMBER, token = 'token'): Promise<Answered> {
  const response = await fetch(`${target.apiUrl}/${number}/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, body: parsed(text) };
}

export function message(type: string, content: unknown, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { messaging_product: 'whatsapp', to: CUSTOMER, type, [type]: content, ...more };
}

export function text(body = 'Hello', more: Record<string, unknown> = {}): Record<string, unknown> {
  return message('text', { body }, more);
}

/** Sends and returns the wamid; fails the test when it was not accepted. */
export async function accepted(target: Emulator, body: unknown, number = NUMBER): Promise<string> {
  const answer = await post(target, body, number);
  const id = (answer.body as { messages?: { id: string }[] }).messages?.[0]?.id;
  if (answer.status !== 200 || id === undefined) throw new Error(`not accepted: ${answer.status} ${answer.text}`);
  return id;
}

export async function control(
  target: Emulator,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${target.url}/_emulator${path}`, {
    method,
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

function parsed(value: string): Answered['body'] {
  try {
    return JSON.parse(value) as Answered['body'];
  } catch {
    return {};
  }
}

export interface Hook {
  readonly raw: string;
  readonly signature: string | undefined;
  readonly atMs: number;
}
export interface Status {
  readonly id: string;
  readonly status: string;
  readonly recipient_id?: string;
  readonly biz_opaque_callback_data?: string;
  readonly errors?: { code: number }[];
}

/** A webhook receiver on loopback. */
export class Receiver {
  readonly hooks: Hook[] = [];
  readonly url: string;
  /** Status of the next answers; default 200. */
  answers: number[] = [];
  verifyToken = 'verify me';
  readonly #server;
  #waiting: (() => void)[] = [];

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
    server.on('request', (request, response) => {
      void readBody(request).then((raw) => {
        const query = new URL(request.url ?? '/', this.url).searchParams;
        if (request.method === 'GET') {
          const right = query.get('hub.mode') === 'subscribe' && query.get('hub.verify_token') === this.verifyToken;
          response.writeHead(right ? 200 : 403).end(right ? (query.get('hub.challenge') ?? '') : '');
          return;
        }
        const signature = request.headers['x-hub-signature-256'];
        this.hooks.push({ raw, signature: typeof signature === 'string' ? signature : undefined, atMs: Date.now() });
        response.writeHead(this.answers.shift() ?? 200).end();
        for (const wake of this.#waiting.splice(0)) wake();
      });
    });
  }

  static async start(): Promise<Receiver> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const receiver = new Receiver(server);
    onTestFinished(() => receiver.stop());
    return receiver;
  }

  get statuses(): Status[] {
    return this.hooks.flatMap(({ raw }) => values(raw).flatMap((value) => (value['statuses'] ?? []) as Status[]));
  }

  get messages(): Record<string, unknown>[] {
    return this.hooks.flatMap(({ raw }) =>
      values(raw).flatMap((value) => (value['messages'] ?? []) as Record<string, unknown>[]),
    );
  }

  /** Resolves when the condition holds after a webhook; fails after the deadline. */
  async until(condition: () => boolean, deadlineMs = 10_000): Promise<void> {
    const end = Date.now() + deadlineMs;
    while (!condition()) {
      const leftMs = end - Date.now();
      if (leftMs <= 0) throw new Error(`deadline passed with ${this.hooks.length} webhooks: ${this.hooks.at(-1)?.raw}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

export function values(raw: string): Record<string, unknown>[] {
  const payload = JSON.parse(raw) as { entry: { changes: { value: Record<string, unknown> }[] }[] };
  return payload.entry.flatMap((entry) => entry.changes.map((change) => change.value));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}
