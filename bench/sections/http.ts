import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'undici';
import { type BenchContext, ms, type Section, type SectionResult } from '../section.ts';
import { quantile, summary } from '../statistics.ts';

/*
 * The whole program as a person starts it, embedded servers and all: from the moment at which a request leaves its
 * client to the moment at which the provider's server hears of the message. Client and provider share one clock.
 */

const API_KEY = 'wx_bench-key-of-at-least-32-characters';

/** A provider that notes when a message arrives and answers at once. */
class Provider {
  readonly arrived = new Map<string, (atMs: number) => void>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const atMs = performance.now();
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { text } = JSON.parse(Buffer.concat(chunks).toString()) as { text: { body: string } };
        this.arrived.get(text.body)?.(atMs);
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ messaging_product: 'whatsapp', messages: [{ id: `wamid.${text.body}` }] }));
      });
    });
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v23.0`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function startProgram(apiUrl: string, folder: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', main, 'start'], {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      WAXWING_DATA_DIR: folder,
      WAXWING_API_KEY: API_KEY,
      PORT: '0',
      LOG_LEVEL: 'error',
      WHATSAPP_API_URL: apiUrl,
      WHATSAPP_PHONE_NUMBER_ID: '100000000000001',
      WHATSAPP_ACCESS_TOKEN: 'bench',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const url = await new Promise<string>((resolve, reject) => {
    let seen = '';
    child.stdout.on('data', (chunk: Buffer) => {
      seen += chunk.toString();
      const found = /ready \(web and worker\) on (\S+)/.exec(seen)?.[1];
      if (found !== undefined) resolve(found);
    });
    void ended.then(() => reject(new Error(`the program ended before it was ready: ${seen}`)));
  });
  return {
    url,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

async function run(context: BenchContext): Promise<SectionResult> {
  const messages = context.isQuick ? 100 : 600;
  const folder = mkdtempSync(join(tmpdir(), 'waxwing-bench-'));
  const provider = new Provider();
  const program = await startProgram(await provider.listen(), folder);
  const client = new Client(program.url);
  const toAnswer: number[] = [];
  const toProvider: number[] = [];
  try {
    for (let n = -30; n < messages; n += 1) {
      if (n % 50 === 0) context.step(`HTTP in to HTTP out, ${Math.max(0, n)} of ${messages}`);
      const body = `message ${n}`;
      const arrived = new Promise<number>((resolve) => provider.arrived.set(body, resolve));
      const startedAt = performance.now();
      const response = await client.request({
        method: 'POST',
        path: '/v1/messages',
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body: JSON.stringify({ tenant: 't', to: `+4915${100_000_000 + n + 30}`, type: 'text', text: { body } }),
      });
      await response.body.dump();
      const answeredAt = performance.now();
      if (response.statusCode !== 202) throw new Error(`the program answered ${response.statusCode}`);
      const arrivedAt = await arrived;
      provider.arrived.delete(body);
      // The first thirty warm connections and code up.
      if (n >= 0) {
        toAnswer.push(answeredAt - startedAt);
        toProvider.push(arrivedAt - startedAt);
      }
      await delay(10 + Math.random() * 10);
    }
  } finally {
    await client.close();
    await program.stop();
    provider.close();
    rmSync(folder, { recursive: true, force: true });
  }
  const [p50, p99] = [quantile(toProvider, 0.5), quantile(toProvider, 0.99)];
  const row = (label: string, list: readonly number[]) => [
    label,
    ...[0.5, 0.9, 0.99].map((share) => ms(quantile(list, share))),
  ];
  return {
    figures: [
      {
        what: "accept → provider's socket when idle (HTTP in, HTTP out, disk durability)",
        floor: 'p50 ≤ 6 ms, p99 ≤ 20 ms',
        aim: '3 / 10',
        reached: `p50 ${ms(p50)}, p99 ${ms(p99)}`,
        isMet: p50 <= 6 && p99 <= 20,
      },
    ],
    tables: [
      {
        title: 'One message at a time through the whole program, from the request at its client',
        columns: ['', 'p50', 'p90', 'p99'],
        rows: [row('to the 202', toAnswer), row("to the provider's server", toProvider)],
      },
    ],
    charts: [],
    data: { toAnswer: summary(toAnswer), toProvider: summary(toProvider) },
  };
}

export const http: Section = {
  name: 'http',
  steps: ({ isQuick }) => (isQuick ? 3 : 13),
  run,
};
