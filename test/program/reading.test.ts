import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Emulator, startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { testDatabase, testRedis } from '../support/services.ts';

/*
 * Whoever looks at a message again and again, from its accept to its end, is told by the queue, then by the record, and
 * in between by both.
 */

const REFUSED = '+447911123401';
const REFUSED_TWICE = '+447911123402';
const FAILS_LATER = '+447911123403';
const FINE = '+447911123404';
/** How far along a status is; a failed attempt takes a message back from `sending` to `queued`, and nothing else does. */
const STEPS: Record<string, number> = {
  ...{ scheduled: 0, queued: 0, sending: 1, sent: 2, failed: 3, delivered: 3, read: 4, cancelled: 5 },
};

interface Message {
  readonly status: string;
  readonly attempts: number;
  readonly providerMessageId: string | null;
  readonly sentAt: string | null;
}

interface Look extends Message {
  readonly events: readonly string[];
}
const stepOf = ({ status }: Message) => STEPS[status] ?? -1;

let emulator: Emulator;
let program: Program;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator({
    appSecret: 'app-secret',
    settings: {
      latencyMsMin: 20,
      latencyMsMax: 60,
      statuses: { sentDelayMs: 20, deliveredDelayMs: 200, readDelayMs: 300 },
    },
  });
  program = await runProgram(programSettings({ redis, database, emulator }, { QUEUE_BACKOFF_DELAY: '200' }));
  emulator.patch({ webhook: { url: `${program.server?.url ?? ''}/webhooks/whatsapp/cloud` } });
  emulator.addRule({ match: { recipient: REFUSED }, action: { kind: 'error', code: 131026 } });
  emulator.addRule({
    ...{ match: { recipient: REFUSED_TWICE }, times: 2 },
    action: { kind: 'error', code: 131000, httpStatus: 500 },
  });
  emulator.addRule({ match: { recipient: FAILS_LATER }, action: { kind: 'fail-later', code: 131053 } });
});
afterAll(async () => {
  await program.stop();
  await emulator.stop();
});

async function read<T>(path: string): Promise<T> {
  const answer = await callProgram(program, path);
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as T;
}

it.each([
  ['is read', FINE, {}, 'read', 1],
  ['is sent at its time', FINE, { inMs: 300 }, 'read', 1],
  ['is refused', REFUSED, {}, 'failed', 1],
  ['goes at the third attempt', REFUSED_TWICE, {}, 'read', 3],
  ['fails after it was sent', FAILS_LATER, {}, 'failed', 1],
] as const)('nothing that is told of a message that %s goes back', async (_, to, when, end, attempts) => {
  const sendAt = 'inMs' in when ? { sendAt: new Date(Date.now() + when.inMs).toISOString() } : {};
  const accepted = await callProgram(program, '/v1/messages', { to, type: 'text', text: { body: 'hi' }, ...sendAt });
  const { id } = (await accepted.json()) as { id: string };
  const looks = await looksUntil(id, end);
  for (const [before, now] of looks.slice(1).map((look, n) => [looks[n] ?? look, look] as const)) {
    const told = `${JSON.stringify(before)}, then ${JSON.stringify(now)}`;
    const isAgain = before.status === 'sending' && now.status === 'queued';
    expect(isAgain || stepOf(now) >= stepOf(before), told).toBe(true);
    expect(now.attempts, told).toBeGreaterThanOrEqual(before.attempts);
    expect(now.events.length, told).toBeGreaterThanOrEqual(before.events.length);
    expect(now.events[0], told).toBe('accepted');
    if (before.providerMessageId !== null) expect(now.providerMessageId).toBe(before.providerMessageId);
    if (before.sentAt !== null) expect(now.sentAt).toBe(before.sentAt);
  }
  expect(looks.at(-1)).toMatchObject({ status: end, attempts });
});

/** Looks at it as often as it can until it stands like this, for ten seconds at most. */
async function looksUntil(id: string, end: string): Promise<Look[]> {
  const looks: Look[] = [];
  for (const untilMs = performance.now() + 10_000; performance.now() < untilMs;) {
    const [message, { items }] = await Promise.all([
      read<Message>(`/v1/messages/${id}`),
      read<{ items: { event: string }[] }>(`/v1/messages/${id}/timeline`),
    ]);
    looks.push({ ...message, events: items.map(({ event }) => event) });
    if (message.status === end) break;
  }
  return looks;
}
