import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmulator } from '../../src/emulator/index.ts';
import type { Program } from '../../src/program/start-program.ts';
import { openGate, type Gate } from '../record/support/gate.ts';
import { callProgram, programSettings, runProgram } from '../support/program.ts';
import { eventually, testDatabase, testRedis, type TestRedis } from '../support/services.ts';

/* What a web process says of its health while its servers go away, one after the other. */

let redis: TestRedis;
let gate: Gate;
let program: Program;

beforeAll(async () => {
  redis = await testRedis();
  gate = await openGate((await testDatabase()).url);
  const emulator = await startEmulator();
  program = await runProgram(programSettings({ redis, database: gate, emulator }), 'web');
  await emulator.stop();
});
afterAll(async () => {
  await program.stop();
  await gate.close();
});

const health = async () => {
  const answer = await callProgram(program, '/api/webhooks/whatsapp/health');
  return { status: answer.status, body: (await answer.json()) as Readonly<Record<string, unknown>> };
};

describe('P5 · GET /api/webhooks/whatsapp/health', () => {
  it('is healthy while every part answers', async () => {
    await eventually(async () => {
      expect(await health()).toMatchObject({
        status: 200,
        body: { status: 'healthy', reasons: [], alerts: [], database: { status: 'up' }, queue: { status: 'up' } },
      });
      return true;
    });
  });

  it('is degraded and says why while PostgreSQL is away', async () => {
    await gate.shut();
    await eventually(async () => {
      const { status, body } = await health();
      expect({ status, body }).toMatchObject({
        status: 200,
        body: { status: 'degraded', database: { status: 'down' } },
      });
      expect(body['breakers']).toContainEqual({ name: 'postgres', open: true });
      expect(body['reasons']).toContain('PostgreSQL does not answer: messages are sent, but not recorded.');
      expect(body['reasons']).toContain('The circuit breaker postgres is open.');
      return true;
    });
  });

  it('is 503, unhealthy and says why while the queue is away', async () => {
    await redis.kill('SIGKILL');
    await eventually(async () => {
      const { status, body } = await health();
      expect({ status, body }).toMatchObject({ status: 503, body: { status: 'unhealthy', queue: { status: 'down' } } });
      expect(body['reasons']).toContain('The queue Redis does not answer: nothing is accepted or sent.');
      return true;
    });
  });

  it('is healthy again when both are back', async () => {
    await gate.open();
    await redis.restart();
    await eventually(async () => (await health()).body['status'] === 'healthy', { timeoutMs: 60_000 });
  });
});
