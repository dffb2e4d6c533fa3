import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startApi, type Api, type Call } from './support/api.ts';

let api: Api;
let own: string;
let other: string;
beforeAll(async () => {
  api = await startApi({ quietHours: '21:00-08:00' });
  for (const id of ['salon1', 'salon2']) await api.record.tenants.create({ id });
  own = (await api.record.apiKeys.create({ tenant: 'salon1', name: 'own' })).key;
  other = (await api.record.apiKeys.create({ tenant: 'salon2', name: 'other' })).key;
});
afterAll(() => api.close());

const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
const booking = (more: Record<string, unknown> = {}) => ({
  customerPhone: '+4915112345678',
  customerName: 'Ada',
  serviceName: 'Haircut',
  serviceDate: `${inDays(30).slice(0, 10)}T12:00:00+03:00`,
  ...more,
});
interface View {
  readonly id: string;
  readonly status: string;
  readonly code: string;
  readonly field: string;
  readonly serviceName: string;
  readonly reminders: { kind: string; dueAt: string; status: string }[];
  readonly items: View[];
  readonly next: string | null;
}
async function call(as: string, request: Call) {
  const answer = await api.call({ ...request, as });
  return { status: answer.statusCode, body: answer.json<View>() };
}
const create = (body: unknown, as = own) => call(as, { method: 'POST', url: '/v1/bookings', body });

describe('Q5 · bookings', () => {
  test('are created with their reminders, read, changed, cancelled', async () => {
    const { status, body } = await create(booking({ reminders: ['day_before', 'hour_before', { minutesBefore: 90 }] }));
    expect(status).toBe(201);
    expect(body.reminders.map(({ kind }) => kind)).toEqual(['day_before', '90m', 'hour_before']);
    const url = `/v1/bookings/${body.id}`;
    expect((await call(own, { url })).body).toMatchObject({ id: body.id, status: 'active' });
    const changed = await call(own, {
      method: 'PATCH',
      url,
      body: { serviceName: 'Colour', reminders: ['hour_before'] },
    });
    expect(changed).toMatchObject({ status: 200, body: { serviceName: 'Colour' } });
    const ended = await call(own, { method: 'DELETE', url });
    expect(ended.body).toMatchObject({ status: 'cancelled' });
    expect((await call(own, { method: 'DELETE', url })).status).toBe(200);
    expect((await call(own, { method: 'PATCH', url, body: { serviceName: 'x' } })).status).toBe(409);
  });

  test('may carry the id of the caller, once', async () => {
    expect((await create(booking({ id: 'mine-1' }))).body.id).toBe('mine-1');
    expect(await create(booking({ id: 'mine-1' }))).toMatchObject({ status: 409, body: { field: 'id' } });
    expect((await create(booking({ id: 'mine-1' }), other)).status).toBe(201);
  });

  test("are listed by their time, in pages, and never another tenant's", async () => {
    await create(booking({ id: 'late', serviceDate: inDays(50) }));
    await create(booking({ id: 'early', serviceDate: inDays(40) }));
    const query = `from=${encodeURIComponent(inDays(39))}&limit=1`;
    const first = await call(own, { url: `/v1/bookings?${query}` });
    expect(first.body.items.map(({ id }) => id)).toEqual(['early']);
    const second = await call(own, { url: `/v1/bookings?${query}&cursor=${first.body.next ?? ''}` });
    expect(second.body.items.map(({ id }) => id)).toEqual(['late']);
    expect((await call(other, { url: '/v1/bookings/late' })).status).toBe(404);
    expect((await call(other, { method: 'DELETE', url: '/v1/bookings/late' })).status).toBe(404);
    expect((await call(other, { url: '/v1/bookings?tenant=salon1' })).status).toBe(403);
  });

  test.each([
    ['customerPhone', { customerPhone: '12' }],
    ['serviceDate', { serviceDate: '2027-01-01' }],
    ['serviceDate', { serviceDate: '2020-01-01T00:00:00Z' }],
    ['timeZone', { timeZone: 'Mars/Olympus' }],
    ['reminders[0]', { reminders: ['soon'] }],
    ['message', { message: { type: 'text', text: { body: '{{ customerName | nothing }}' } } }],
    ['message.text.body', { message: { type: 'text', text: { body: '' } } }],
    ['id', { id: 'a b' }],
  ])('are refused with the field %s when it is wrong: %j', async (field, wrong) => {
    const { status, body } = await create(booking(wrong));
    expect({ status, field: body.field }).toEqual({ status: 400, field });
  });

  test('Q5 · a kind of reminder that does not exist is answered with those that do', async () => {
    const { status, body } = await create(booking({ reminders: ['week_before'] }));
    expect({ status, field: body.field }).toEqual({ status: 400, field: 'reminders[0]' });
    expect(body).toMatchObject({
      detail: expect.stringContaining('day_before, hour_before, or {"minutesBefore"') as string,
    });
  });
});
