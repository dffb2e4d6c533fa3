import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Grant, Settlement } from '../../src/engine/contract.ts';
import { RedisSendQueue } from '../../src/engine/queue.ts';
import { WorkerLink } from '../../src/engine/worker-link.ts';
import { newId } from '../../src/util/ids.ts';
import { eventually, testRedis, type TestRedis } from '../support/services.ts';

/* A status webhook usually comes within a second: before a timeout has run, and before a dead worker is missed. */

const ENGINE = { sendTimeoutMs: 200, ambiguousWaitMs: 60_000, onAmbiguous: 'reconcile', startByMs: 10_000 } as const;
const SENDER = {
  sender: 's1',
  shard: 0,
  ratePerSecond: 0,
  burst: 1,
  concurrency: 5,
  pairGapMs: 0,
  pairBucketCapacity: 0,
  pairBucketRefillPerSecond: 0,
};

let redis: TestRedis;
let queue: RedisSendQueue;
const links: WorkerLink[] = [];

beforeEach(async () => {
  redis = await testRedis();
  queue = new RedisSendQueue({ redis: { url: redis.url, db: 0 }, shards: 1, ...ENGINE });
  await queue.connect();
  await queue.configureSender(SENDER);
});

afterEach(async () => {
  for (const link of links.splice(0)) await link.close();
  queue.close();
  await redis.stop();
});

async function startLink(worker: string): Promise<{ link: WorkerLink; next: Promise<Grant> }> {
  let tell: (grant: Grant) => void = () => undefined;
  const next = new Promise<Grant>((resolve) => (tell = resolve));
  const link = new WorkerLink({
    ...ENGINE,
    redis: { url: redis.url, db: 0 },
    shard: 0,
    worker,
    slots: 5,
    onGrants: ([grant]) => {
      if (grant !== undefined) tell(grant);
    },
  });
  links.push(link);
  await link.start();
  return { link, next };
}

async function accept(): Promise<void> {
  await queue.accept({
    id: newId(),
    lane: { sender: 's1', tenant: 't1', conversation: 'c1' },
    contact: '+966500000001',
    priority: 5,
    body: '{}',
    tenantLimits: { concurrency: 5, weight: 1, backlogMax: 100 },
  });
}

async function tellTaken({ messageId, attempt, entry }: Grant): Promise<void> {
  const status = { providerMessageId: 'wamid.1', status: 'sent', providerAtMs: Date.now(), error: null };
  await queue.statuses([{ messageId, attempt, entry, ...status }]);
}

describe('a status that comes before its attempt has ended', () => {
  it('settles the attempt as sent when its answer is lost after it', async () => {
    const { link, next } = await startLink('w1');
    await accept();
    const grant = await next;
    expect(await link.begin(grant.entry)).toBe(true);
    await tellTaken(grant);
    await link.settle({ grant, settlement: { kind: 'unknown' }, report: null });
    expect(await queue.counters()).toMatchObject({ accepted: 1, sent: 1, unknown: 0, queued: 0 });
  });

  it('settles the attempt as sent when its worker is found dead after it', async () => {
    const { link, next } = await startLink('w1');
    await accept();
    const grant = await next;
    expect(await link.begin(grant.entry)).toBe(true);
    await tellTaken(grant);
    // A goodbye with an attempt open leaves what a dead worker leaves.
    await link.close();
    await eventually(async () => (await queue.counters()).sent === 1);
    expect(await queue.counters()).toMatchObject({ accepted: 1, sent: 1, unknown: 0, queued: 0 });
  });

  it.each<[string, Settlement, object]>([
    ['sent', { kind: 'sent', providerMessageId: 'wamid.1' }, { sent: 1 }],
    ['retried', { kind: 'retry', delayMs: 60_000, counted: true }, { queued: 1 }],
  ])('changes nothing when the attempt ends as %s', async (_name, settlement, counters) => {
    const { link, next } = await startLink('w1');
    await accept();
    const grant = await next;
    await link.begin(grant.entry);
    await tellTaken(grant);
    await link.settle({ grant, settlement, report: null });
    expect(await queue.counters()).toMatchObject({ accepted: 1, unknown: 0, inFlight: 0, ...counters });
  });
});
