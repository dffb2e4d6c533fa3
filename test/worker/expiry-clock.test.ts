import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import type { MessageProvider } from '../../src/providers/contract.ts';
import { FAILURE, FREE_SENDER, message } from '../engine/support/bench.ts';
import { eventually } from '../support/services.ts';
import { useRooms } from './support/room.ts';

/*
 * `expiresAt` is judged by the queue's clock, also in the worker's last look before the first byte. Queue and worker
 * are on one machine here; the worker's clock is moved by moving `Date.now()`.
 */

const NOT_SENT = { kind: 'not-sent', error: { ...FAILURE, code: 'PROVIDER_UNREACHABLE', retryable: true } } as const;

const openRoom = useRooms();
afterEach(() => {
  vi.restoreAllMocks();
});

/** A worker whose provider would write no first byte before this monotonic time. */
async function open(firstByteAtMs: number) {
  const { queue, startWorker } = await openRoom(1);
  await queue.configureSender(FREE_SENDER);
  const asked: boolean[] = [];
  const provider: MessageProvider = {
    name: 'cloud',
    async send({ beforeFirstByte }) {
      await delay(Math.max(0, firstByteAtMs - performance.now()));
      const may = beforeFirstByte?.() !== false;
      asked.push(may);
      return may ? { kind: 'sent', providerMessageId: 'wamid.1', httpStatus: 200 } : NOT_SENT;
    },
    close: () => Promise.resolve(),
  };
  await startWorker(provider, { slots: 1, globalRatePerSecond: 0, globalConcurrency: 0, firstByteByMs: 10_000 });
  return { queue, asked };
}

function moveClock(byMs: number): void {
  const now = Date.now.bind(Date);
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs);
}

it('a worker whose clock is ahead sends what has not expired by the queue’s, at its first attempt', async () => {
  const { queue, asked } = await open(0);
  const one = message({ expiresAtMs: Date.now() + 60_000 });
  moveClock(600_000);
  await queue.accept(one);
  await eventually(async () => (await queue.counters()).sent === 1);
  expect(asked).toEqual([true]);
});

it('a worker whose clock is behind sends nothing late', async () => {
  // So long, that a machine on which the process stands still for two seconds hands it over all the same.
  const livesMs = 2500;
  const { queue, asked } = await open(performance.now() + livesMs + 500);
  const one = message({ expiresAtMs: Date.now() + livesMs });
  moveClock(-600_000);
  await queue.accept(one);
  await eventually(async () => (await queue.counters()).expired === 1);
  expect(asked).toEqual([false]);
  expect((await queue.counters()).sent).toBe(0);
});
