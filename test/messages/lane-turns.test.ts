import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { LaneTurns } from '../../src/messages/lane-turns.ts';

const lane = { sender: 'default', tenant: 'salon', conversation: '4915112345678' };

test('who looks slowly still begins before who came later, and nobody waits for an end', async () => {
  const turns = new LaneTurns();
  const order: string[] = [];
  let end: () => void = () => undefined;
  const first = turns.run(lane, async () => {
    await delay(20);
    return () => {
      order.push('first');
      return new Promise<void>((resolve) => (end = resolve));
    };
  });
  const second = turns.run(lane, () => Promise.resolve(() => Promise.resolve(order.push('second'))));
  await second;
  expect(order).toEqual(['first', 'second']);
  end();
  await first;
});

test('one that fails while it looks holds up only itself', async () => {
  const turns = new LaneTurns();
  const failing = turns.run(lane, () => Promise.reject(new Error('no account')));
  const next = turns.run(lane, () => Promise.resolve(() => Promise.resolve('sent')));
  await expect(failing).rejects.toThrow('no account');
  expect(await next).toBe('sent');
});
