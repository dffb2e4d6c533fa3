import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { eventually } from '../support/services.ts';
import { cloudBody, cloudMessage } from './support/cloud.ts';
import { roomOfFile } from './support/room.ts';

const { room } = await roomOfFile();

/** Everything that goes to PostgreSQL while messages are taken in, transactions included; the recorder has its own rhythm. */
async function queriesOf(messages: readonly Record<string, unknown>[], post = postAtOnce): Promise<number> {
  const spy = vi.spyOn(pg.Client.prototype, 'query');
  const before = room.statistics.figures().messages;
  await post(messages.map((message) => cloudBody({ messages: [message] })));
  await eventually(() => room.statistics.figures().messages === before + messages.length, { timeoutMs: 20_000 });
  const count = spy.mock.contexts.filter((client) => !isRecorders(client)).length;
  spy.mockRestore();
  return count;
}
const postAtOnce = async (bodies: readonly string[]) => {
  await Promise.all(bodies.map((body) => room.post(body)));
};
/** Each in a job of its own, and all jobs there before the first one runs. */
const postJobs = async (bodies: readonly string[]) => {
  await room.queues.pauseQueue('webhook');
  for (const body of bodies) await room.post(body);
  await room.queues.resumeQueue('webhook');
};
const isRecorders = (client: unknown) =>
  JSON.stringify((client as { connectionParameters: object }).connectionParameters).includes('waxwing-recorder');
const stranger = (n: number) => cloudMessage({ from: `49170${String(n).padStart(8, '0')}` });

test('P3 · at most three queries for a message, of a stranger and of a known person', async () => {
  await queriesOf([stranger(0)]);
  const ofStranger = await queriesOf([stranger(1)]);
  const ofKnown = await queriesOf([stranger(1)]);
  expect(ofStranger).toBeGreaterThan(0);
  expect(ofStranger).toBeLessThanOrEqual(3);
  expect(ofKnown).toBeLessThanOrEqual(3);
});

test('P3 · under load at most half a query per message', async () => {
  const people = Array.from({ length: 100 }, (_, index) => stranger(100 + (index % 50)));
  await queriesOf(people.slice(0, 50));
  const known = Array.from({ length: 200 }, (_, index) => stranger(100 + (index % 50)));
  const queries = await queriesOf(known);
  console.info(`${(queries / known.length).toFixed(2)} queries per message of known people on a shared sender`);
  expect(queries / known.length).toBeLessThanOrEqual(0.5);
});

test('P3 · jobs that run at once share their queries', async () => {
  const people = Array.from({ length: 50 }, (_, index) => stranger(300 + index));
  await queriesOf(people);
  const queries = await queriesOf(
    people.map(({ from }) => cloudMessage({ from })),
    postJobs,
  );
  expect(queries / people.length).toBeLessThanOrEqual(1);
});
