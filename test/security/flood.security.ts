import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import { percentile } from '../faults/harness/measure.ts';
import { API_KEY, Program } from '../faults/harness/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* Floods against the whole program: bodies and headers without measure, and connections that take a place and do nothing. */

const IDLE = Number(process.env['WAXWING_IDLE_CONNECTIONS'] ?? '1000');
const SLOW = Math.ceil(IDLE / 10);

let program: Program;
let emulator: Emulator;
let port = 0;
const open = new Set<Socket>();

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  program = await Program.start('all', {
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'error',
    WAXWING_DATA_DIR: mkdtempSync(join(inject('waxwingRunFolder'), 'data-')),
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    WAXWING_API_KEY: API_KEY,
    JWT_SECRET: 'flood-test-jwt-secret-of-thirty-two-letters',
    WAXWING_SECRET_KEY: 'flood-test-secret-key-of-thirty-two-letters',
    WHATSAPP_API_URL: emulator.apiUrl,
    WHATSAPP_PHONE_NUMBER_ID: '100000000000001',
    WHATSAPP_ACCESS_TOKEN: 'token',
    WHATSAPP_APP_SECRET: 'flood-test-app-secret',
  });
  port = Number(new URL(program.url).port);
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await program.stop();
  await emulator.stop();
});

const rssMb = (): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
const descriptors = (): number => readdirSync(`/proc/${program.pid}/fd`).length;

function socketTo(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket));
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', reject);
  });
}

/** Writes until the other side has had enough. @returns what it answered, and how much it let through, bytes */
async function pour(head: string, chunk: Buffer, bytesMax: number): Promise<{ answer: string; bytes: number }> {
  const socket = await socketTo();
  let answer = '';
  let bytes = 0;
  let isOver = false;
  socket.on('data', (data: Buffer) => (answer += data.toString('latin1')));
  for (const event of ['close', 'error', 'end']) socket.on(event, () => (isOver = true));
  socket.write(head);
  const over = (): boolean => isOver || answer !== '';
  while (!over() && bytes < bytesMax) {
    bytes += chunk.length;
    if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), delay(50)]);
  }
  await eventually(over, { timeoutMs: 10_000 }).catch(() => undefined);
  socket.destroy();
  return { answer, bytes };
}

async function honest(n: number): Promise<{ readonly status: number; readonly ms: number }> {
  const startMs = performance.now();
  const response = await fetch(`${program.url}/v1/messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      to: `+44770090${String(n % 9999).padStart(4, '0')}`,
      type: 'text',
      text: { body: 'hello' },
    }),
  });
  await response.arrayBuffer();
  return { status: response.status, ms: performance.now() - startMs };
}

async function honestP99(count: number): Promise<number> {
  const times: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const { status, ms } = await honest(n);
    expect(status).toBe(202);
    times.push(ms);
  }
  return percentile(times, 0.99);
}

const AUTH = `Authorization: Bearer ${API_KEY}\r\n`;
const POST = `POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
const WEBHOOK = `POST /webhooks/whatsapp/cloud HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256=${'0'.repeat(64)}\r\n`;

test('F43 · a body without end is cut at its limit, with and without a key, and memory stays flat', async () => {
  await honestP99(50);
  const beforeMb = rssMb();
  const chunk = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
  for (let round = 0; round < 10; round += 1) {
    for (const [what, head, status] of [
      ['messages', `${POST}${AUTH}Transfer-Encoding: chunked\r\n\r\n`, /^(HTTP\/1\.1 413 |$)/],
      ['a webhook', `${WEBHOOK}Transfer-Encoding: chunked\r\n\r\n`, /^(HTTP\/1\.1 (401|413) |$)/],
      ['no key', `${POST}Transfer-Encoding: chunked\r\n\r\n`, /^(HTTP\/1\.1 401 |$)/],
    ] as const) {
      const { answer, bytes } = await pour(head, chunk, 1024 ** 3);
      // Who goes on talking into a closed connection may lose the answer to the reset that follows.
      expect(answer, what).toMatch(status);
      // The webhook's own limit is 3 MiB; what is on its way in buffers comes on top.
      expect(bytes, what).toBeLessThan(64 * 1024 ** 2);
    }
  }
  const grownMb = rssMb() - beforeMb;
  console.log(`F43: 30 bodies without end, memory grew by ${grownMb.toFixed(0)} MB`);
  expect(grownMb).toBeLessThan(150);
});

test('F43 · a bomb that unpacks to a gigabyte is not unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(256 * 1024 ** 2));
  const beforeMb = rssMb();
  for (const path of ['/v1/messages', '/webhooks/whatsapp/cloud']) {
    const response = await fetch(`${program.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: bomb,
    });
    expect(response.status, path).toBeGreaterThanOrEqual(400);
    expect(response.status, path).toBeLessThan(500);
    await response.arrayBuffer();
  }
  expect(rssMb() - beforeMb).toBeLessThan(100);
});

test('F43 · ten thousand headers, and a request that hides another one, are refused', async () => {
  const headers = Array.from({ length: 10_000 }, (_, n) => `X-${n}: ${n}\r\n`).join('');
  const many = await pour(`${POST}${AUTH}${headers}\r\n`, Buffer.from('{}'), 2);
  expect(many.answer).toMatch(/^(HTTP\/1\.1 431 |$)/);
  const hidden = 'GET /admin/tenants HTTP/1.1\r\nHost: x\r\n\r\n';
  for (const lengths of [
    `Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked\r\n`,
    `Transfer-Encoding: chunked\r\nContent-Length: 3\r\n`,
    `Transfer-Encoding: chunked, identity\r\n`,
    `Transfer-Encoding : chunked\r\n`,
    `Content-Length: 3\r\nContent-Length: 4\r\n`,
  ]) {
    const { answer } = await pour(`${POST}${AUTH}${lengths}\r\n0\r\n\r\n${hidden}`, Buffer.from(' '), 1);
    expect(answer, lengths).toMatch(/^HTTP\/1\.1 400 /);
    // The hidden one is never answered by itself.
    expect(answer.match(/HTTP\/1\.1 /g), lengths).toHaveLength(1);
  }
});

test(`F44 · ${IDLE} idle connections and ${SLOW} that send a byte a second: honest requests are all served`, async () => {
  const calm = await honestP99(200);
  const base = descriptors();
  const beforeMb = rssMb();
  for (let from = 0; from < IDLE; from += 100) {
    await Promise.all(Array.from({ length: Math.min(100, IDLE - from) }, () => socketTo()));
  }
  const slow = await Promise.all(Array.from({ length: SLOW }, () => socketTo()));
  const dripping = { on: true };
  for (const socket of slow)
    socket
      .on('error', () => undefined)
      .resume()
      .write(`${POST}${AUTH}X-Slow: `);
  const drip = (async () => {
    while (dripping.on) {
      for (const socket of slow) if (!socket.destroyed) socket.write('x');
      await delay(1000);
    }
  })();
  const crowded = await honestP99(200);
  const grownMb = rssMb() - beforeMb;
  // Whoever does not finish its headers is shown the door after ten seconds, and its place is free again.
  await eventually(() => slow.every((socket) => socket.destroyed || socket.readableEnded), {
    timeoutMs: 60_000,
    what: 'the slow ones to be shown the door',
  });
  dripping.on = false;
  await drip;
  for (const socket of open) socket.destroy();
  await eventually(() => descriptors() <= base + 20, { timeoutMs: 30_000, what: 'the descriptors to be given back' });
  console.log(
    `F44: honest p99 ${calm.toFixed(1)} ms alone, ${crowded.toFixed(1)} ms beside ${IDLE} idle and ${SLOW} slow; +${grownMb.toFixed(0)} MB`,
  );
  expect(crowded).toBeLessThanOrEqual(Math.max(2 * calm, calm + 50));
  expect(grownMb).toBeLessThan(300);
});
