import { expect, test } from 'vitest';
import { apiOverEngine } from './support/over-engine.ts';

let isOnQueue = true;
const { api } = await apiOverEngine({ queueSwitch: { isOnQueue: () => isOnQueue, queueDrainMs: 200 } });

test('S14 · rollback: behind what the queue cannot get rid of in time the next ones are queued, in their order', async () => {
  const send = async (text: string) => {
    const body = { tenant: 'salon1', conversationId: 'c1', phoneNumber: '+966500000001', text };
    const answer = await api.call({ method: 'POST', url: '/api/whatsapp/send', body });
    expect(answer.statusCode, answer.body).toBe(202);
    return answer.json<{ jobId: string; direct: boolean; queued: boolean }>();
  };
  const first = await send('on the queue, and no worker runs');
  isOnQueue = false;
  const calls = [send('one')];
  // Each is in its line before the next one asks.
  for (const text of ['two', 'three']) {
    await api.call({ url: '/health', as: null });
    calls.push(send(text));
  }
  const later = await Promise.all(calls);
  for (const one of later) expect(one).toMatchObject({ direct: false, queued: true });
  const order = [first, ...later].map(({ jobId }) => jobId);
  expect(await Promise.all(order.map((id) => placeOf(id)))).toEqual([1, 2, 3, 4]);
});

async function placeOf(id: string): Promise<unknown> {
  const answer = await api.call({ url: `/v1/messages/${id}/explain` });
  return answer.json<{ position: unknown }>().position;
}
