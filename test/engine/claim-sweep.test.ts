import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseAutoClaim, sweepClaims } from '../../src/engine/claim-sweep.ts';
import { commandClient, disconnect, type RedisClient, whenReady } from '../../src/engine/connection.ts';
import { ScriptRunner } from '../../src/engine/script-runner.ts';
import { testRedis } from '../support/services.ts';

describe('parseAutoClaim()', () => {
  it('R2 · copes with the reply formats of Redis 6.2, 7 and 8', () => {
    expect(parseAutoClaim(['0-0', ['1-0', '2-0']])).toEqual({ cursor: '0-0', ids: ['1-0', '2-0'], deleted: [] });
    expect(parseAutoClaim(['5-0', ['1-0'], ['3-0']])).toEqual({ cursor: '5-0', ids: ['1-0'], deleted: ['3-0'] });
    expect(parseAutoClaim(['0-0', [['1-0', ['l', 'lane']], null]])).toEqual({
      cursor: '0-0',
      ids: ['1-0'],
      deleted: [],
    });
  });

  it('R2 · refuses an answer that it does not know, instead of reading nothing from it', () => {
    expect(() => parseAutoClaim('OK')).toThrow('XAUTOCLAIM');
  });
});

describe('sweepClaims()', () => {
  let client: RedisClient;
  beforeAll(async () => {
    const redis = await testRedis();
    client = commandClient({ url: redis.url }, 2000);
    await whenReady(client, 5000);
  });
  afterAll(() => disconnect(client));

  it('R2, R3 · removes pending entries without a lease and returns those of a holder, once they were idle for long', async () => {
    const out = '{wx:0}out';
    await client.call('XGROUP', 'CREATE', out, 'wa_workers', '0', 'MKSTREAM');
    const leftOver = String(await client.call('XADD', out, '*', 'l', 's|t|a'));
    const held = String(await client.call('XADD', out, '*', 'l', 's|t|b'));
    await client.call('XREADGROUP', 'GROUP', 'wa_workers', 'holder', 'STREAMS', out, '>');
    await client.hset('{wx:0}le', held, 'S|1|1|holder');
    const runner = new ScriptRunner(client);
    expect(await sweepClaims(runner, 0, 'sweeper', 60_000)).toEqual({ removed: 0, returned: 0 });
    expect(await client.call('XLEN', out)).toBe(2);
    expect(await sweepClaims(runner, 0, 'sweeper', 0)).toEqual({ removed: 1, returned: 1 });
    const pending = (await client.call('XPENDING', out, 'wa_workers', '-', '+', 10)) as [string, string][];
    expect(pending.map(([id, consumer]) => [id, consumer])).toEqual([[held, 'holder']]);
    expect(await client.call('XRANGE', out, leftOver, leftOver)).toEqual([]);
  });
});
