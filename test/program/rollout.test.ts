import { expect, test } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis } from '../support/services.ts';

/* The stages of letting tenants onto the queue, over two web processes and no worker: what is direct is sent. */

let phones = 0;

test('S14 · off, one test tenant, a share by percent, all: the switch of a tenant goes first, in every process', async () => {
  const [redis, database, emulator] = await Promise.all([testRedis(), testDatabase(), startEmulator()]);
  const keys = {
    WAXWING_API_KEY: 'platform-key-of-these-tests',
    JWT_SECRET: 'jwt-secret-of-these-tests-32-characters',
    WAXWING_SECRET_KEY: 'secret-key-of-these-tests-32-chars-long',
  };
  const settings = programSettings({ redis, database, emulator }, keys);
  const running: Program[] = [];
  const start = async (more: Record<string, string>): Promise<Program> => {
    const program = await runProgram({ ...settings, ...more }, 'web');
    running.push(program);
    return program;
  };
  const isDirect = async (program: Program, tenant: string): Promise<unknown> => {
    phones += 1;
    const body = { tenant, text: 'hello', phoneNumber: `+4477009${String(phones).padStart(5, '0')}` };
    const answer = await callProgram(program, '/api/whatsapp/send', body);
    expect(answer.status).toBe(202);
    return ((await answer.json()) as { direct: boolean }).direct;
  };
  const shown = async (program: Program, tenant: string): Promise<unknown> =>
    await (await callProgram(program, `/admin/tenants/${tenant}`)).json();
  try {
    const none = { WHATSAPP_SEND_QUEUE_PERCENT: '0' };
    const [one, two] = [await start(none), await start(none)];
    for (const program of [one, two]) expect(await isDirect(program, 'pilot')).toBe(true);
    expect(await shown(one, 'pilot')).toMatchObject({ queueEnabled: false, queueFollowsPercent: true });
    const say = async (queueEnabled: boolean | null) =>
      await callProgram(one, '/admin/tenants/pilot', { queueEnabled }, 'PATCH');

    await say(true);
    expect(await isDirect(one, 'pilot')).toBe(false);
    await eventually(async () => (await isDirect(two, 'pilot')) === false, { what: 'the other process to hear of it' });
    expect(await isDirect(two, 'another')).toBe(true);
    expect(await shown(two, 'pilot')).toMatchObject({ queueEnabled: true, queueFollowsPercent: false });

    const off = await start({ WHATSAPP_SEND_QUEUE_ENABLED: 'false' });
    expect(await isDirect(off, 'pilot')).toBe(true);

    const all = await start({ WHATSAPP_SEND_QUEUE_PERCENT: '100' });
    for (const tenant of ['pilot', 'another']) expect(await isDirect(all, tenant)).toBe(false);
    await say(false);
    await eventually(async () => (await isDirect(all, 'pilot')) === true, { what: 'the tenant to be off again' });
    expect(await isDirect(all, 'another')).toBe(false);
    await say(null);
    expect(await shown(one, 'pilot')).toMatchObject({ queueEnabled: false, queueFollowsPercent: true });
    expect(await shown(all, 'pilot')).toMatchObject({ queueEnabled: true, queueFollowsPercent: true });

    // By the hash the first is in at 0.64 % and the second at 98.94 %: for ever, so their numbers stand here.
    const share = await start({ WHATSAPP_SEND_QUEUE_PERCENT: '50' });
    expect(await isDirect(share, 'salon-67')).toBe(false);
    expect(await isDirect(share, 'salon-140')).toBe(true);
  } finally {
    for (const program of running) await program.stop();
    await emulator.stop();
  }
});
