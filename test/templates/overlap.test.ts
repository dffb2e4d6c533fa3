import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CacheService, Caches, TieredCache } from '../../src/cache/index.ts';
import type { NewTemplate, RemoteTemplate } from '../../src/providers/template-provider.ts';
import { TemplateCallError } from '../../src/providers/template-provider.ts';
import { migrate, openRecord, type WaxwingRecord } from '../../src/record/index.ts';
import { createTemplates, type TemplateRegistry } from '../../src/templates/index.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { testDatabase } from '../support/services.ts';

/* T1 · Two processes make the same template while the provider has not answered the first one. */

let record: WaxwingRecord;
let processes: readonly [TemplateRegistry, TemplateRegistry];
/** What the provider does with the calls, in their order; each is told when it may answer. */
let calls: { readonly answer: (template: RemoteTemplate) => void; readonly fail: (error: Error) => void }[];
let arrived: (() => void)[];

const noCall = (): Promise<never> => Promise.reject(new Error('not asked for'));
const provider = {
  name: 'cloud' as const,
  list: noCall,
  create: (_account: unknown, template: NewTemplate) =>
    new Promise<RemoteTemplate>((resolve, reject) => {
      calls.push({ answer: (remote) => resolve({ ...template, ...remote }), fail: reject });
      for (const tell of arrived.splice(0)) tell();
    }),
};
const called = async (count: number) => {
  while (calls.length < count) await new Promise<void>((resolve) => arrived.push(resolve));
  const call = calls[count - 1];
  if (call === undefined) throw new Error('no call');
  return call;
};
const remote = (status: string): RemoteTemplate =>
  ({ status, reason: null, providerId: '77', category: 'UTILITY', components: [] }) as unknown as RemoteTemplate;

beforeAll(async () => {
  const { url: databaseUrl } = await testDatabase();
  await migrate(databaseUrl);
  const tenantDefaults = { concurrency: 5, weight: 1, backlogMax: 1000 } as never;
  record = openRecord({ databaseUrl, tenantDefaults, secretBox: createSecretBox({ key: 'a'.repeat(32) }) });
  await record.senders.create({
    ...{ id: 'main', tenant: null, provider: 'cloud', externalId: '111', apiUrl: 'http://127.0.0.1:1', shard: 0 },
    ...{ credentials: { accessToken: 'x' }, portfolio: 'account1', ratePerSecond: 10, burst: 1, concurrency: 5 },
    ...{ pairGapMs: 0, pairBucketCapacity: 1, pairBucketRefillPerSecond: 1 },
  });
  const registry = () =>
    createTemplates({
      store: record.templates,
      providers: [provider],
      senders: record.senders,
      changes: record.providerChanges,
      exclusive: record.exclusive,
      queue: { holdTemplate: noCall, releaseTemplate: noCall },
      knowing: (call) => call(),
      cache: new CacheService(
        new Caches({ tiers: new TieredCache({ redisUrl: null, bytesMax: 1_000_000 }), spikeThreshold: 0.5 }),
        { defaultSeconds: 60, templateSeconds: 60 } as never,
      ),
      businessAccountId: undefined,
      twilioContentUrl: 'http://127.0.0.1:1',
    });
  processes = [registry(), registry()];
});
afterAll(() => record.close());
beforeEach(() => {
  calls = [];
  arrived = [];
});

const draft = (key: string) => ({ key, language: 'en', category: 'UTILITY' as const, components: [] });
const rows = async (key: string) => (await record.templates.list({ tenant: null, key })).items;

describe('T1 · two calls for one template', () => {
  it('the second one, while the first waits for its answer, gets CONFLICT, and the template stays', async () => {
    const first = processes[0].create(null, 'main', draft('welcome'));
    const { answer } = await called(1);
    for (const process of processes) {
      await expect(process.create(null, 'main', draft('welcome'))).rejects.toMatchObject({ code: 'CONFLICT' });
    }
    answer(remote('PENDING'));
    expect(await first).toMatchObject({ status: 'PENDING', providerId: '77' });
    expect(calls).toHaveLength(1);
    expect(await rows('welcome')).toMatchObject([{ status: 'PENDING' }]);
    await expect(processes[1].create(null, 'main', draft('welcome'))).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(calls).toHaveLength(1);
  });

  it('a draft whose answer was lost is tried again, and stays when the provider refuses it as a duplicate', async () => {
    const first = processes[0].create(null, 'main', draft('lost'));
    (await called(1)).fail(new TemplateCallError('unknown', 'The answer was lost.'));
    await expect(first).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' });
    const again = processes[1].create(null, 'main', draft('lost'));
    (await called(2)).fail(new TemplateCallError('refused', 'There is such a template.'));
    await expect(again).rejects.toMatchObject({ code: 'TEMPLATE_REFUSED' });
    expect(await rows('lost')).toMatchObject([{ status: 'DRAFT', reason: 'There is such a template.' }]);
    const third = processes[0].create(null, 'main', draft('lost'));
    (await called(3)).answer(remote('PENDING'));
    expect(await third).toMatchObject({ status: 'PENDING', reason: null });
  });

  it('a template that the provider refuses at the first call leaves nothing behind', async () => {
    const first = processes[0].create(null, 'main', draft('refused'));
    (await called(1)).fail(new TemplateCallError('refused', 'The text has no end.'));
    await expect(first).rejects.toMatchObject({ code: 'TEMPLATE_REFUSED' });
    expect(await rows('refused')).toEqual([]);
  });

  it('what the webhook told before the answer came, or instead of it, is not taken back', async () => {
    const told = async (name: string) =>
      processes[1].applyEvent(
        'cloud',
        { kind: 'template', accountId: 'account1', name, language: 'en', event: 'IN_REVIEW' } as never,
        [],
      );
    const first = processes[0].create(null, 'main', draft('quick'));
    const { answer } = await called(1);
    await told('quick');
    answer(remote('PENDING'));
    expect(await first).toMatchObject({ status: 'IN_REVIEW', providerId: '77' });
    const second = processes[0].create(null, 'main', draft('quiet'));
    const { fail } = await called(2);
    await told('quiet');
    fail(new TemplateCallError('unknown', 'The answer was lost.'));
    await expect(second).rejects.toMatchObject({ code: 'PROVIDER_UNREACHABLE' });
    expect(await rows('quiet')).toMatchObject([{ status: 'IN_REVIEW' }]);
  });
});

describe('one at a time over all processes', () => {
  it('waits for the others, and not longer than it was told', async () => {
    const { exclusive } = record;
    const order: string[] = [];
    let end: () => void = () => undefined;
    let began: () => void = () => undefined;
    const isRunning = new Promise<void>((resolve) => (began = resolve));
    const first = exclusive.alone('job', 0, async () => {
      began();
      await new Promise<void>((resolve) => (end = resolve));
      order.push('first');
    });
    await isRunning;
    await expect(exclusive.alone('job', 50, () => Promise.resolve())).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await exclusive.alone('another', 0, () => Promise.resolve('free'))).toBe('free');
    const second = exclusive.alone('job', 20_000, () => Promise.resolve(order.push('second')));
    end();
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
    await expect(exclusive.alone('job', 20_000, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await exclusive.alone('job', 20_000, () => Promise.resolve('freed'))).toBe('freed');
  });
});
