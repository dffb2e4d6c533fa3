import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import { createWaxwing, type Waxwing } from '../../src/index.ts';
import { programSettings, type Settings } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* Waxwing inside another program: the same engine, no HTTP in between. */

let emulator: Emulator;
let waxwing: Waxwing;
let given: Settings;

beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  given = programSettings({ redis, database, emulator });
  waxwing = createWaxwing({ role: 'all', settings: given });
});

afterAll(async () => {
  await waxwing.stop();
  await emulator.stop();
});

describe('createWaxwing()', () => {
  it('says that it must be started first', () => {
    expect(() => waxwing.messages).toThrow('start()');
  });

  it('S8 · enqueueWhatsAppSend() returns the job, and the message reaches the provider', async () => {
    await waxwing.start();
    const job = await waxwing.enqueueWhatsAppSend(
      { restaurantId: 7, conversationId: 'order-12', phoneNumber: '+447700900001', text: 'Your table is ready' },
      8,
    );
    expect(job).toMatchObject({ tenant: '7', conversation: 'order-12', priority: 8, type: 'text' });
    const entry = await eventually(() => emulator.ledger().find(({ taken }) => taken));
    expect(entry.tag).toContain(job.id);
  });

  it('S8 · enqueueWhatsAppSend() refuses a bad number with code and field, and stores nothing', async () => {
    const send = { restaurantId: 'r', phoneNumber: '12', text: 'hi' };
    await expect(waxwing.enqueueWhatsAppSend(send)).rejects.toMatchObject({ code: 'REQUEST_INVALID', field: 'to' });
  });

  it('S8 · enqueueWhatsAppSend() without a restaurant is for the default tenant, and no other value becomes a name', async () => {
    const send = { phoneNumber: '+447700900002', text: 'hi' };
    expect(await waxwing.enqueueWhatsAppSend(send)).toMatchObject({ tenant: 'default' });
    for (const restaurantId of [null, Number.NaN, {}] as unknown as string[]) {
      await expect(waxwing.enqueueWhatsAppSend({ ...send, restaurantId })).rejects.toMatchObject({ field: 'tenant' });
    }
  });

  it('messages accepts every type, reads, lists and cancels as the platform key does, and checks what it is given', async () => {
    const { messages } = waxwing;
    const { message } = await messages.accept({
      ...{ tenant: 'salon-aurora', to: '+447700900003', type: 'image' },
      ...{ image: { link: 'https://example.com/flowers.jpg' }, sendAt: new Date(Date.now() + 3_600_000).toISOString() },
    });
    expect(message).toMatchObject({ tenant: 'salon-aurora', status: 'scheduled' });
    expect(await messages.get(message.id)).toMatchObject({ id: message.id, type: 'image' });
    expect((await messages.explain(message.id)).hold?.kind).toBe('scheduled');
    await eventually(async () => (await messages.list({ tenant: 'salon-aurora', limit: 10 })).items[0]);
    expect((await messages.cancel(message.id)).status).toBe('cancelled');
    const empty = { to: '+447700900003', type: 'text', text: { body: '' } } as const;
    await expect(messages.accept(empty)).rejects.toMatchObject({ code: 'REQUEST_INVALID', field: 'text.body' });
    const ofAnother = messages.get(message.id, { kind: 'tenant', tenant: 'salon-luna' });
    await expect(ofAnother).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('F6 · retryFailedMessages() is a function of the instance, too', async () => {
    const none = { total: 0, succeeded: 0, failed: 0, permanentlyFailed: 0 };
    expect(await waxwing.retryFailedMessages(10)).toEqual(none);
  });

  it('F2 · sends again when it was stopped and started again', async () => {
    await waxwing.stop();
    await waxwing.stop();
    expect(() => waxwing.throttled).toThrow('start()');
    await waxwing.start();
    const { messageId } = await waxwing.sendMessage('+447700900003', 'after the break');
    await eventually(() => emulator.ledger().some(({ tag, taken }) => taken && tag?.includes(messageId) === true));
  });

  it('starts after a start that failed, once what was wrong is mended', async () => {
    const settings: Record<string, string> = { ...given, SHARDS: '0' };
    const mended = createWaxwing({ role: 'web', settings });
    await expect(mended.start()).rejects.toThrow(/SHARDS/);
    await mended.stop();
    settings['SHARDS'] = '1';
    await mended.start();
    expect(await mended.getStats()).toMatchObject({ queue: { waiting: 0 } });
    await mended.stop();
  });

  it('lists every wrong setting at once when it starts', async () => {
    const wrong = createWaxwing({ settings: { PORT: 'many', SHARDS: '0' } });
    await expect(wrong.start()).rejects.toThrow(/PORT[\s\S]*SHARDS|SHARDS[\s\S]*PORT/);
  });
});
