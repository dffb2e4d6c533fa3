import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { shardPrefix } from '../../src/engine/keys.ts';
import { eventually, type TestRedis, testRedis } from '../support/services.ts';
import { waxwingPlace } from '../support/waxwing.ts';

/* What direct mode promises a caller who repeats himself, and a sender that must stop. */

const { redis, emulator, start } = await waxwingPlace(
  {
    WHATSAPP_SEND_QUEUE_ENABLED: 'false',
    WHATSAPP_RATE_LIMIT_MS: '500',
    PROVIDER_TIMEOUT_MS: '1000',
    QUEUE_BACKOFF_DELAY: '20',
  },
  'web',
);

/** REDIS_QUEUE_DB's default. */
const QUEUE_DB = 1;

/** The engine's pause of the sender `default`, read and lifted past every process. */
function pauseIn({ url }: TestRedis) {
  const client = new Redis(url, { db: QUEUE_DB });
  client.on('error', () => undefined);
  onTestFinished(() => client.disconnect());
  const keys = Array.from({ length: 4 }, (_, shard) => `${shardPrefix(shard)}s:default`);
  return {
    async reason(): Promise<string | undefined> {
      const reasons = await Promise.all(keys.map((key) => client.hget(key, 'paused')));
      return reasons.find((reason) => reason !== null) ?? undefined;
    },
    async lift(): Promise<void> {
      await Promise.all(keys.map((key) => client.hdel(key, 'paused')));
    },
  };
}

let numbers = 0;
const phone = () => `+4477008${String((numbers += 1)).padStart(5, '0')}`;
const sentTo = (to: string) => emulator.ledger().filter((entry) => entry.recipient === to.slice(1));
const failWith = (recipient: string | undefined, code: number) =>
  emulator.addRule({
    match: recipient === undefined ? {} : { recipient },
    action: { kind: 'error', code, httpStatus: 400 },
  });

/** A provider that takes a message and answers it when the test says so. */
async function heldProvider() {
  let requests = 0;
  const server = createServer(() => (requests += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v23.0`,
    requests: () => requests,
    /** Resolves with the way to answer when the next request is here. */
    async asked(): Promise<(body: object) => void> {
      const [, response] = (await once(server, 'request')) as [IncomingMessage, ServerResponse];
      return (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    },
  };
}

describe('a repetition in direct mode', () => {
  it('F3 · S7 · waits for the first call, and is answered as that one was', async () => {
    const waxwing = await start();
    const to = phone();
    await waxwing.sendMessage(to, 'opens the gap');
    // Both wait for the pair's gap: nothing has been sent when the repetition asks.
    const calls = await Promise.all([waxwing.sendMessage(to, 'same'), waxwing.sendMessage(to, 'same')]);
    expect(calls).toEqual([
      expect.objectContaining({ duplicate: false, immediate: true, direct: true }),
      expect.objectContaining({ duplicate: true, direct: true, messageId: calls[0].messageId }),
    ]);
    expect(sentTo(to)).toHaveLength(2);

    failWith(to, 131026);
    const refused = await Promise.allSettled([waxwing.sendMessage(to, 'no'), waxwing.sendMessage(to, 'no')]);
    for (const one of refused) expect(one).toMatchObject({ reason: { code: 'DIRECT_REFUSED' } });
    expect(sentTo(to)).toHaveLength(3);
  });

  it('S7 · a first call that was not sent gives its key back: the next call sends', async () => {
    const waxwing = await start();
    const to = phone();
    failWith(to, 131016);
    const both = await Promise.allSettled([waxwing.sendMessage(to, 'x'), waxwing.sendMessage(to, 'x')]);
    for (const one of both) expect(one).toMatchObject({ reason: { code: 'DIRECT_NOT_SENT' } });
    emulator.reset();
    expect(await waxwing.sendMessage(to, 'x')).toMatchObject({ immediate: true, duplicate: false });
  });

  it('S7 · of a call that another process has not ended: 503, and what that one sent once it has', async () => {
    const provider = await heldProvider();
    const settings = { WHATSAPP_API_URL: provider.apiUrl, PROVIDER_TIMEOUT_MS: '12000' };
    const [one, other] = [await start(settings), await start(settings)];
    const to = phone();
    const first = one.sendMessage(to, 'same');
    const answer = await provider.asked();
    await expect(other.sendMessage(to, 'same')).rejects.toMatchObject({ code: 'DIRECT_NOT_SENT', retryable: true });
    answer({ messaging_product: 'whatsapp', messages: [{ id: 'wamid.held' }] });
    const { messageId } = await first;
    const late = await eventually(() => other.sendMessage(to, 'same').catch(() => undefined));
    expect(late).toMatchObject({ duplicate: true, messageId });
    expect(provider.requests()).toBe(1);
  });
});

describe('a sender that must stop, in direct mode', () => {
  it('S7 · a pausing error stops the sender in every process until a person resumes it', async () => {
    const [one, other] = [await start(), await start()];
    const pause = pauseIn(redis);
    failWith(undefined, 131048);
    await expect(one.sendMessage(phone(), 'a')).rejects.toMatchObject({ code: 'DIRECT_NOT_SENT' });
    const reason = await eventually(() => pause.reason());
    expect(reason).toContain('131048');
    const calls = emulator.ledger().length;
    expect(calls).toBe(1);
    for (const waxwing of [one, other]) {
      await expect(waxwing.sendMessage(phone(), 'b')).rejects.toMatchObject({
        code: 'DIRECT_NOT_SENT',
        detail: expect.stringContaining('131048') as string,
      });
    }
    expect(emulator.ledger()).toHaveLength(calls);
    emulator.reset();
    await pause.lift();
    expect(await one.sendMessage(phone(), 'c')).toMatchObject({ direct: true, immediate: true });
    expect(await other.sendMessage(phone(), 'd')).toMatchObject({ direct: true, immediate: true });
  });

  it('S7 · also while the queue is away, what stands in the line included; the queue hears of it when it is back', async () => {
    const own = await testRedis();
    const waxwing = await start({ REDIS_URL: own.url, WHATSAPP_SEND_QUEUE_ENABLED: 'true' });
    await waxwing.sendMessage(phone(), 'on the queue');
    await own.kill('SIGKILL');
    const to = phone();
    await eventually(() => waxwing.sendMessage(to, 'past it').catch(() => undefined));
    failWith(undefined, 131031);
    const before = emulator.ledger().length;
    const told = await Promise.allSettled([waxwing.sendMessage(phone(), 'a'), waxwing.sendMessage(to, 'in the line')]);
    for (const one of told) expect(one).toMatchObject({ reason: { code: 'DIRECT_NOT_SENT' } });
    await expect(waxwing.sendMessage(phone(), 'b')).rejects.toMatchObject({ code: 'DIRECT_NOT_SENT' });
    expect(emulator.ledger()).toHaveLength(before + 1);
    await own.restart();
    const pause = pauseIn(own);
    const reason = await eventually(() => pause.reason().catch(() => undefined), { timeoutMs: 15_000 });
    expect(reason).toContain('131031');
  });
});
