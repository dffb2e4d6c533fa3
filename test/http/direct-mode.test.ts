import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator, type Emulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { testDatabase, testRedis } from '../support/services.ts';

/* What a caller of the short form meets when the queue is switched off. */

let emulator: Emulator;
let web: Program;
beforeAll(async () => {
  const [redis, database] = await Promise.all([testRedis(), testDatabase()]);
  emulator = await startEmulator();
  web = await runProgram(
    programSettings({ redis, database, emulator }, { WHATSAPP_SEND_QUEUE_ENABLED: 'false' }),
    'web',
  );
});
afterAll(async () => {
  await web.stop();
  await emulator.stop();
});

let numbers = 0;
async function send(tenant: string) {
  const phoneNumber = `+4477009${String((numbers += 1)).padStart(5, '0')}`;
  const answer = await callProgram(web, '/api/whatsapp/send', { restaurantId: tenant, phoneNumber, text: 'x' });
  return {
    status: answer.status,
    body: (await answer.json()) as { direct?: boolean; jobId: string; code?: string },
  };
}

describe('direct mode', () => {
  it('S7 · C4 · the first direct send after new credentials goes out with them', async () => {
    const credentials = (accessToken: string) => ({ credentials: { accessToken } });
    await callProgram(web, '/admin/tenants', { id: 'salon' });
    const sender = { id: 'own', tenant: 'salon', provider: 'cloud', externalId: '100000000000009' };
    expect((await callProgram(web, '/admin/senders', { ...sender, ...credentials('old') })).status).toBe(201);
    emulator.patch({ accessTokens: ['old'] });
    expect(await send('salon')).toMatchObject({ status: 202, body: { direct: true } });
    emulator.patch({ accessTokens: ['new'] });
    expect((await callProgram(web, '/admin/senders/own', credentials('new'), 'PATCH')).status).toBe(200);
    expect(await send('salon')).toMatchObject({ status: 202, body: { direct: true } });
    emulator.patch({ accessTokens: null });
  });

  it('S7 · what was sent directly can be read when it is answered', async () => {
    const readAfterwards = async () => {
      const { body } = await send('default');
      const read = await callProgram(web, `/v1/messages/${body.jobId}`);
      return ((await read.json()) as { status?: unknown }).status;
    };
    expect(await Promise.all(Array.from({ length: 5 }, readAfterwards))).toEqual(Array(5).fill('sent'));
  });
});
