import { openSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { steadyNowMs } from '../harness/clock.ts';
import type { LedgerSend, ProviderPlan, ToProvider } from '../harness/protocol.ts';
import { answerTo, type Answer } from './provider-answers.ts';
import { DiskQueue } from './disk-queue.ts';
import { ActionChooser } from './provider-choice.ts';
import { onTold, programOptions, tell } from './supervised.ts';

/*
 * Ground truth of a fault test: a Cloud API whose ledger line is on disk before a request is answered. It is never
 * killed itself. Whatever it then does to the answer (or to the sender's process), the ledger says what was taken.
 */

interface CloudRequest {
  readonly to?: string;
  readonly text?: { readonly body?: string };
  readonly biz_opaque_callback_data?: string;
}

const { ledgerPath } = programOptions() as { readonly ledgerPath: string };
const ledger = openSync(ledgerPath, 'a');
const disk = new DiskQueue(ledger);
const chooser = new ActionChooser();
let plan: ProviderPlan = { seed: 0, latencyMs: [0, 0], rules: [], statuses: null };
let killable = new Set<number>();
let sends = 0;
let taken = 0;

/** When each connection last had a request under way; Infinity while it has one. */
const usedAtMs = new Map<Socket, number>();
let isLeaving = false;
const server = createServer((request, response) => {
  usedAtMs.set(request.socket, Infinity);
  response.on('close', () => usedAtMs.set(request.socket, performance.now()));
  if (isLeaving) response.setHeader('connection', 'close');
  void handle(request, response).catch((error: unknown) => {
    console.error(error);
    request.socket.destroy();
  });
});

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const atMs = steadyNowMs();
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const payload = JSON.parse(Buffer.concat(chunks).toString('utf8')) as CloudRequest;
  const [worker = '', pid = ''] = (request.headers.authorization ?? '').replace(/^Bearer /, '').split('/');
  const phoneNumberId = request.url?.split('/').at(-2) ?? '';
  const asked = {
    op: payload.text?.body ?? '',
    tag: payload.biz_opaque_callback_data ?? '',
    phoneNumberId,
    to: payload.to ?? '',
  };
  const chosen = chooser.choose(plan, asked);
  const { latencyMs } = chosen;
  const closure = chooser.closedFor(asked, atMs);
  const rule = closure?.rule ?? chosen.rule;
  const action = rule?.action ?? 'take';
  const isTaken = action.startsWith('take');
  sends += 1;
  taken += isTaken ? 1 : 0;
  const line: LedgerSend = {
    kind: 'send',
    n: sends,
    ...asked,
    worker,
    atMs,
    action,
    code: rule?.code ?? null,
    taken: isTaken,
    wamid: isTaken ? `wamid.${sends}` : null,
    closedBy: closure?.by ?? null,
  };
  if (closure === undefined && rule !== undefined) chooser.close(rule, asked, line.n, atMs);
  watchEnd(response, line.n);
  await disk.append(line);
  if (isTaken) scheduleStatuses(line);
  if (latencyMs > 0) await delay(latencyMs);
  await answer(response, answerTo(line, rule), Number(pid));
}

const ended = new Set<number>();
function end(n: number, answered: boolean): void {
  if (ended.has(n)) return;
  ended.add(n);
  writeSync(ledger, `${JSON.stringify({ kind: 'end', n, atMs: steadyNowMs(), answered })}\n`);
}
const numberOf = new WeakMap<ServerResponse, number>();
function watchEnd(response: ServerResponse, n: number): void {
  numberOf.set(response, n);
  response.on('close', () => end(n, false));
}

async function answer(response: ServerResponse, what: Answer, pid: number): Promise<void> {
  const n = numberOf.get(response) ?? 0;
  switch (what.kind) {
    case 'answer':
      if (what.delayMs > 0) await delay(what.delayMs);
      if (response.destroyed) return;
      // Before the write: the sender may have settled before a later line of ours runs.
      end(n, what.isTrustworthy);
      response.writeHead(what.httpStatus, what.headers).end(what.body);
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'silence':
      return;
    case 'trickle':
      response.writeHead(200, { 'content-type': 'application/json' });
      for (const letter of what.body) {
        if (response.destroyed) return;
        response.write(letter);
        await delay(1000);
      }
      return;
    case 'kill':
      // Only a process that the supervisor named, and only once: its other requests die with it.
      if (!killable.delete(pid)) return;
      process.kill(pid, 'SIGKILL');
      tell({ type: 'killed', pid, atMs: steadyNowMs() });
  }
}

function scheduleStatuses({ tag, wamid }: LedgerSend): void {
  const { statuses } = plan;
  if (statuses === null || wamid === null) return;
  for (let copy = 0; copy < statuses.copies; copy += 1) {
    setTimeout(() => tell({ type: 'status', tag, wamid, atMs: steadyNowMs() }), statuses.delayMs * (copy + 1));
  }
}

server.on('connection', (socket) => {
  usedAtMs.set(socket, performance.now());
  socket.on('close', () => usedAtMs.delete(socket));
});

/** A connection without a request for so long is not about to get one. */
const IDLE_MS = 300;

let port = 0;
async function listen(on: boolean): Promise<void> {
  isLeaving = !on;
  if (on) {
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
    return;
  }
  await new Promise<void>((resolve) => {
    // A provider that goes away is no cut cable: what is under way is answered, with the word that it was the last on
    // its connection, and nobody is cut off while his next request may be on its way, as `close()` of HTTP would.
    const sweep = setInterval(() => {
      for (const [socket, atMs] of usedAtMs) if (performance.now() - atMs > IDLE_MS) socket.destroy();
    }, 20);
    Server.prototype.close.call(server, () => {
      clearInterval(sweep);
      resolve();
    });
  });
}

const done = (id: number): void => tell({ type: 'done', id, sends, taken });
onTold((told) => {
  const message = told as ToProvider;
  if (message.type === 'plan') {
    ({ plan } = message);
    chooser.reset();
  } else if (message.type === 'killable') killable = new Set(message.pids);
  else if (message.type === 'count') done(message.id);
  else void listen(message.on).then(() => done(message.id));
});

server.keepAliveTimeout = 60_000;
await listen(true);
tell({ type: 'ready', port });
