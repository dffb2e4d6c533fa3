import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import { checkQueueSafety } from '../../src/engine/safety.ts';
import { testRedis } from '../support/services.ts';

let client: RedisClient;
beforeAll(async () => {
  const { url } = await testRedis();
  client = commandClient({ url }, 2000);
  await whenReady(client, 5000);
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => disconnect(client));

/** A real Redis that gives itself out as another version. */
function says(line: string): void {
  const info = vi.spyOn(client, 'info');
  info.mockImplementation(async () => {
    const told = String(await client.call('INFO'));
    return told.replace(/redis_version:[^\r]*/, line);
  });
}

test.each(['redis_version:7.0.0', 'redis_version:8.2.1', 'redis_version:7.2.4\r\nvalkey_version:8.1.0'])(
  'R2 · %j is a version that is taken',
  async (line) => {
    says(line);
    expect(await checkQueueSafety(client, 'disk')).toEqual({ problems: [], warnings: [] });
  },
);

test.each(['6.2.18', '5.0.7'])('R2 · a Redis %s is refused, whatever is kept', async (version) => {
  says(`redis_version:${version}`);
  const refusal = `Redis ${version} is too old: 7.0 or later is needed.`;
  for (const durability of ['disk', 'memory'] as const) {
    expect((await checkQueueSafety(client, durability)).problems).toEqual([refusal]);
  }
});
