import { afterAll, beforeAll, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import { createWaxwing } from '../../src/index.ts';
import { programSettings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

let emulator: Emulator;
beforeAll(async () => {
  emulator = await startEmulator();
});
afterAll(() => emulator.stop());

it('a process that is told to stop while the queue is gone, with an attempt in flight, leaves all the same', async () => {
  const [redis, other, database] = await Promise.all([testRedis(), testRedis(), testDatabase()]);
  const waxwing = createWaxwing({
    settings: {
      ...programSettings({ redis, database, emulator }),
      CACHE_REDIS_URL: other.url,
      SHUTDOWN_GRACE_MS: '1000',
      PROVIDER_TIMEOUT_MS: '3000',
    },
  });
  await waxwing.start();
  emulator.addRule({ action: { kind: 'slow', delayMs: 1500 } });
  await waxwing.enqueueWhatsAppSend({ restaurantId: 'r1', phoneNumber: '+4915112345678', text: 'hello' });
  await eventually(() => emulator.ledger().length === 1);
  await redis.kill('SIGKILL');
  const fromMs = performance.now();
  await waxwing.stop();
  // The attempt's time, the last words, and a margin for a busy machine; it used to be for ever.
  expect(performance.now() - fromMs).toBeLessThan(15_000);
});
