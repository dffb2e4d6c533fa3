import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBookings, parseQuietHours, type Bookings, type BookingsOptions } from '../../src/bookings/index.ts';
import { AppError } from '../../src/errors/app-error.ts';
import { JobLater, reminderProcessor, type JobContext } from '../../src/jobs/index.ts';
import { withdrawalBy } from '../../src/program/bookings.ts';
import type { BookingFields } from '../../src/record/index.ts';
import { MemoryReminders, startApi, type Api } from '../http/support/api.ts';

/** Rules and processor over the real record; the job queue and the clock are the test's. */
let api: Api;
let bookings: Bookings;
let reminders: MemoryReminders;
let withdraw: BookingsOptions['withdraw'];
let withdrawn: string[];
let nowMs: number;
let tenant = 0;

const START = '2027-02-02T10:30:00+03:00';
beforeAll(async () => {
  api = await startApi();
});
afterAll(() => api.close());
beforeEach(() => {
  tenant += 1;
  nowMs = Date.parse('2027-01-20T09:00:00Z');
  reminders = new MemoryReminders();
  withdrawn = [];
  withdraw = withdrawalBy(api.messages);
  bookings = createBookings({
    store: api.record.bookings,
    reminders,
    withdraw: async (owner, id) => {
      withdrawn.push(id);
      return await withdraw(owner, id);
    },
    quietHours: parseQuietHours('21:00-08:00'),
    now: () => nowMs,
  });
});

const salon = () => `salon${tenant}`;
const fields = (more: Partial<BookingFields> = {}): BookingFields => ({
  customerPhone: '+4915112345678',
  customerName: 'Ada',
  serviceName: 'Haircut',
  startsAtMs: Date.parse(START),
  startsAtWritten: START,
  timeZone: null,
  sender: null,
  message: null,
  locale: null,
  metadata: {},
  ...more,
});
const dueOf = (kind: string) => reminders.waiting.get(`${salon()} b1 ${kind}`);
const stateOf = async (id: string | null | undefined) =>
  (await api.messages.get(id ?? '', { kind: 'tenant', tenant: salon() })).status;
const sent = () => api.queue.accepted.filter(({ lane }) => lane.tenant === salon());

function job(kind = 'day_before'): JobContext<Parameters<ReturnType<typeof reminderProcessor>>[0]['data']> {
  const data = {
    bookingId: 'b1',
    salonId: salon(),
    customerPhone: '',
    serviceDate: START,
    serviceName: '',
    reminderType: kind,
  };
  const nothing = () => Promise.resolve();
  return {
    id: 'j',
    data,
    attempt: 1,
    attemptsMax: 3,
    isTakenOver: false,
    addedAtMs: 0,
    log: nothing,
    progress: nothing,
  };
}
const run = (kind?: string) => reminderProcessor({ bookings, messages: api.messages })(job(kind));

test('Q5 · a reminder is sent once through the send engine, recorded, and stamped on the booking', async () => {
  await bookings.create(salon(), 'b1', fields(), ['day_before']);
  nowMs = dueOf('day_before') ?? 0;
  expect(await run()).toMatchObject({ sent: true });
  expect(await run()).toEqual({ sent: false, why: 'the reminder is sent' });
  expect(sent()).toHaveLength(1);
  const booking = await bookings.get(salon(), 'b1');
  expect(booking.reminders).toMatchObject([{ kind: 'day_before', status: 'sent', messageId: sent()[0]?.id }]);
  expect(booking.lastRemindedAtMs).not.toBeNull();
  await api.recorded();
  const stored = await api.record.messages.find(salon(), sent()[0]?.id ?? '');
  expect(stored).toMatchObject({ metadata: { bookingId: 'b1', reminder: 'day_before' }, priority: 7 });
  // However long a limit holds it.
  expect(stored?.expiresAtMs).toBe(Date.parse(START));
});

test('Q5 · a worker that dies between sending and stamping does not remind twice', async () => {
  await bookings.create(salon(), 'b1', fields(), ['day_before']);
  nowMs = dueOf('day_before') ?? 0;
  const dying: Bookings = { ...bookings, reminded: () => Promise.reject(new Error('killed')) };
  const first = reminderProcessor({ bookings: dying, messages: api.messages });
  await expect(first(job())).rejects.toThrow('killed');
  expect(await run()).toMatchObject({ sent: true, messageId: sent()[0]?.id });
  expect(sent()).toHaveLength(1);
  expect((await bookings.get(salon(), 'b1')).reminders).toMatchObject([{ status: 'sent' }]);
});

describe('Q5 · reminders follow the booking', () => {
  test('a booking that is moved moves its reminder; a job with the old time waits for the new one', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    const oldDue = dueOf('day_before') ?? 0;
    const later = '2027-02-05T10:30:00+03:00';
    await bookings.change(salon(), 'b1', { startsAtMs: Date.parse(later), startsAtWritten: later }, undefined);
    expect(dueOf('day_before')).toBe(oldDue + 3 * 86_400_000);
    nowMs = oldDue;
    await expect(run()).rejects.toBeInstanceOf(JobLater);
    expect(sent()).toHaveLength(0);
  });

  test('a customer who was reminded of the old time is reminded of the new one, once', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    const later = '2027-02-05T10:30:00+03:00';
    await bookings.change(salon(), 'b1', { startsAtMs: Date.parse(later), startsAtWritten: later }, undefined);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    await run();
    expect(sent()).toHaveLength(2);
  });

  test('a reminder that still waits in the engine is withdrawn when its booking is cancelled or moved', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    const later = '2027-02-05T10:30:00+03:00';
    await bookings.change(salon(), 'b1', { startsAtMs: Date.parse(later), startsAtWritten: later }, undefined);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    await bookings.cancel(salon(), 'b1');
    const ids = sent().map(({ id }) => id);
    expect(ids).toHaveLength(2);
    expect(withdrawn).toEqual(ids);
    for (const id of ids) {
      expect(await api.messages.get(id, { kind: 'tenant', tenant: salon() })).toMatchObject({ status: 'cancelled' });
    }
  });

  test('a booking that is cancelled while its reminder is accepted takes the message back', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const accept: typeof api.messages.accept = async (...asked) => {
      const answer = await api.messages.accept(...asked);
      await bookings.cancel(salon(), 'b1');
      return answer;
    };
    const result = await reminderProcessor({ bookings, messages: { accept } })(job());
    expect(result).toEqual({ sent: false, why: 'the booking changed meanwhile' });
    expect(withdrawn).toEqual(sent().map(({ id }) => id));
  });

  test('a change that does not move it leaves a sent reminder as it is', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    const booking = await bookings.change(salon(), 'b1', { serviceName: 'Colour' }, undefined);
    expect(booking).toMatchObject({ serviceName: 'Colour', reminders: [{ status: 'sent' }] });
    expect(withdrawn).toEqual([]);
  });

  test('a cancelled booking loses its reminders, and a job that is left does nothing', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before', 'hour_before']);
    const booking = await bookings.cancel(salon(), 'b1');
    expect(booking.reminders.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
    expect(reminders.waiting.size).toBe(0);
    nowMs = Date.parse(START) - 3_600_000;
    expect(await run('hour_before')).toEqual({ sent: false, why: 'the booking is cancelled' });
    expect(sent()).toHaveLength(0);
    await expect(bookings.change(salon(), 'b1', { serviceName: 'x' }, undefined)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  test('other reminders can be asked for later; those that are no longer wanted are removed', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    const booking = await bookings.change(salon(), 'b1', {}, ['hour_before', '90m']);
    expect(Object.fromEntries(booking.reminders.map(({ kind, status }) => [kind, status]))).toEqual({
      day_before: 'cancelled',
      hour_before: 'scheduled',
      '90m': 'scheduled',
    });
    expect([...reminders.waiting.keys()].sort()).toEqual([`${salon()} b1 90m`, `${salon()} b1 hour_before`]);
  });

  test('a kind that is no longer wanted takes back its message that still waits in the engine', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before', 'hour_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    const booking = await bookings.change(salon(), 'b1', {}, ['hour_before']);
    expect(withdrawn).toEqual(sent().map(({ id }) => id));
    expect(await stateOf(sent()[0]?.id)).toBe('cancelled');
    expect(booking.reminders.find(({ kind }) => kind === 'hour_before')?.status).toBe('scheduled');
  });

  test('a job of a booking that does not exist does nothing', async () => {
    expect(await run()).toEqual({ sent: false, why: 'the booking does not exist' });
  });
});

describe('Q5 · a customer with another number', () => {
  const OTHER = '+4915198765432';
  const to = async () => {
    await api.recorded();
    const stored = await Promise.all(sent().map(({ id }) => api.record.messages.find(salon(), id)));
    return stored.map((message) => message?.to);
  };
  const change = (more: Partial<BookingFields> = {}) =>
    bookings.change(salon(), 'b1', { customerPhone: OTHER, ...more }, undefined);

  test('is reminded there of what waited in the engine for the old one, or had gone there', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    nowMs += 60_000;
    expect(await change()).toMatchObject({ reminders: [{ status: 'scheduled', messageId: null }] });
    expect(dueOf('day_before')).toBe(nowMs - 60_000);
    expect(await run()).toMatchObject({ sent: true, messageId: sent()[1]?.id });
    expect(await to()).toEqual([fields().customerPhone, OTHER]);
    expect(await stateOf(sent()[0]?.id)).toBe('cancelled');
    expect(await stateOf(sent()[1]?.id)).toBe('queued');
  });

  test('is reminded once where two reminders had gone to the old one', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before', 'hour_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    nowMs = dueOf('hour_before') ?? 0;
    await run('hour_before');
    const { reminders: now } = await change();
    expect(now).toMatchObject([
      { kind: 'day_before', status: 'sent' },
      { kind: 'hour_before', status: 'scheduled' },
    ]);
    // What still waits for the old number goes to nobody.
    expect(withdrawn).toEqual(sent().map(({ id }) => id));
  });

  test('is reminded of what the old number was refused for', async () => {
    await bookings.create(salon(), 'b1', fields(), ['hour_before']);
    nowMs = dueOf('hour_before') ?? 0;
    await bookings.endReminder(salon(), 'b1', 'hour_before', 'failed', 'RECIPIENT_INVALID');
    expect(await change()).toMatchObject({ reminders: [{ status: 'scheduled', reason: null }] });
    expect(await run('hour_before')).toMatchObject({ sent: true });
    expect(await to()).toEqual([OTHER]);
  });

  test('is reminded there also where the reminder is accepted for the old one in that moment', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const accept: typeof api.messages.accept = async (...asked) => {
      const answer = await api.messages.accept(...asked);
      await change();
      return answer;
    };
    const result = await reminderProcessor({ bookings, messages: { accept } })(job());
    expect(result).toEqual({ sent: false, why: 'the booking changed meanwhile' });
    expect(await run()).toMatchObject({ sent: true });
    expect(await to()).toEqual([fields().customerPhone, OTHER]);
    expect(withdrawn).toEqual([sent()[0]?.id]);
  });

  test.each([
    ['the same number, written otherwise', { customerPhone: '+49 151 1234-5678' }],
    ['another name', { customerPhone: fields().customerPhone, customerName: 'Grace' }],
  ])('is none with %s', async (_what, more) => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    expect(await change(more)).toMatchObject({ reminders: [{ status: 'sent' }] });
    expect(withdrawn).toEqual([]);
  });

  test('is not reminded of a booking that has begun', async () => {
    await bookings.create(salon(), 'b1', fields(), ['hour_before']);
    nowMs = dueOf('hour_before') ?? 0;
    await run('hour_before');
    nowMs = Date.parse(START) + 60_000;
    expect(await change()).toMatchObject({ reminders: [{ status: 'sent' }] });
  });

  test('is reminded later of what is not due yet', async () => {
    await bookings.create(salon(), 'b1', fields(), ['hour_before']);
    const due = dueOf('hour_before') ?? 0;
    await change();
    expect(dueOf('hour_before')).toBe(due);
    nowMs = due;
    await run('hour_before');
    expect(await to()).toEqual([OTHER]);
  });
});

describe('Q5 · a reminder whose time has come is not lost', () => {
  const at = (written: string) => ({ startsAtMs: Date.parse(written), startsAtWritten: written });
  const LATER = '2027-02-05T10:30:00+03:00';

  test('a change of the booking while its job waits leaves it due', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = (dueOf('day_before') ?? 0) + 30_000;
    const booking = await bookings.change(salon(), 'b1', { customerName: 'Grace' }, undefined);
    expect(booking.reminders).toMatchObject([{ status: 'scheduled', reason: null }]);
    expect(await run()).toMatchObject({ sent: true });
    expect(sent()).toHaveLength(1);
  });

  test('a change of the time zone that puts its time into the past leaves it due', async () => {
    await bookings.create(salon(), 'b1', fields({ timeZone: 'Europe/Berlin' }), ['day_before']);
    nowMs = (dueOf('day_before') ?? 0) + 30_000;
    const booking = await bookings.change(salon(), 'b1', { timeZone: 'Asia/Riyadh' }, undefined);
    expect(booking.reminders).toMatchObject([{ status: 'scheduled' }]);
  });

  test('a change between sending and stamping keeps the message that went out', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const dying: Bookings = { ...bookings, reminded: () => Promise.reject(new Error('killed')) };
    await expect(reminderProcessor({ bookings: dying, messages: api.messages })(job())).rejects.toThrow('killed');
    nowMs += 5_000;
    await bookings.change(salon(), 'b1', { serviceName: 'Colour' }, undefined);
    expect(await run()).toMatchObject({ sent: true, messageId: sent()[0]?.id });
    expect((await bookings.get(salon(), 'b1')).reminders).toMatchObject([{ status: 'sent' }]);
    expect(sent()).toHaveLength(1);
  });

  test('what became of one stays, with its reason, through a change that does not move it', async () => {
    await bookings.create(salon(), 'b1', fields(), ['hour_before']);
    const generation = (await bookings.get(salon(), 'b1')).reminders[0]?.generation ?? 0;
    nowMs = dueOf('hour_before') ?? 0;
    await bookings.endReminder(salon(), 'b1', 'hour_before', 'failed', 'RECIPIENT_INVALID', generation);
    const booking = await bookings.change(salon(), 'b1', { customerName: 'Grace' }, undefined);
    expect(booking.reminders).toMatchObject([{ status: 'failed', reason: 'RECIPIENT_INVALID' }]);
  });

  test('a booking that is moved away and back is reminded of, with a message that goes out', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    const [first] = sent();
    nowMs -= 60_000;
    await bookings.change(salon(), 'b1', at(LATER), undefined);
    expect(await stateOf(first?.id)).toBe('cancelled');
    await bookings.change(salon(), 'b1', at(START), undefined);
    nowMs = dueOf('day_before') ?? 0;
    expect(await run()).toMatchObject({ sent: true });
    const [reminder] = (await bookings.get(salon(), 'b1')).reminders;
    expect(reminder?.status).toBe('sent');
    expect(reminder?.messageId).not.toBe(first?.id);
    expect(await stateOf(reminder?.messageId)).not.toBe('cancelled');
  });

  test('a kind that is dropped while its message is accepted, and asked for again, is sent', async () => {
    await bookings.create(salon(), 'b1', fields(), ['hour_before']);
    nowMs = dueOf('hour_before') ?? 0;
    const accept: typeof api.messages.accept = async (...asked) => {
      const answer = await api.messages.accept(...asked);
      await bookings.change(salon(), 'b1', {}, []);
      return answer;
    };
    const result = await reminderProcessor({ bookings, messages: { accept } })(job('hour_before'));
    expect(result).toMatchObject({ sent: false });
    nowMs -= 60_000;
    await bookings.change(salon(), 'b1', {}, ['hour_before']);
    nowMs += 60_000;
    expect(await run('hour_before')).toMatchObject({ sent: true });
    const [reminder] = (await bookings.get(salon(), 'b1')).reminders;
    expect(await stateOf(reminder?.messageId)).not.toBe('cancelled');
  });

  test('a booking that is moved away and back while its reminder goes out is stamped with the message that counts', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const meanwhile: Bookings = {
      ...bookings,
      async reminded(...stamp) {
        nowMs -= 60_000;
        await bookings.change(salon(), 'b1', at(LATER), undefined);
        await bookings.change(salon(), 'b1', at(START), undefined);
        nowMs += 60_000;
        return await bookings.reminded(...stamp);
      },
    };
    await reminderProcessor({ bookings: meanwhile, messages: api.messages })(job());
    expect(withdrawn).toEqual([sent()[0]?.id]);
    expect(await run()).toMatchObject({ sent: true, messageId: sent()[1]?.id });
  });
});

describe('Q5 · a reminder of a time that is no more is withdrawn, whatever is away at the time', () => {
  const later = '2027-02-05T10:30:00+03:00';
  const moved = { startsAtMs: Date.parse(later), startsAtWritten: later };
  afterEach(() => {
    api.queue.isAway = false;
  });

  async function reminded(): Promise<string | undefined> {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await run();
    return sent()[0]?.id;
  }

  test.each([
    ['moved', () => bookings.change(salon(), 'b1', moved, undefined)],
    ['cancelled', () => bookings.cancel(salon(), 'b1')],
  ])('a booking that is %s while the send queue is away', async (_how, act) => {
    const id = await reminded();
    api.queue.isAway = true;
    await act();
    await expect(bookings.withdrawOwed()).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' });
    api.queue.isAway = false;
    expect(await stateOf(id)).toBe('queued');
    await bookings.withdrawOwed();
    expect(await stateOf(id)).toBe('cancelled');
    // Done once: nothing is owed any more.
    const tries = withdrawn.length;
    await bookings.withdrawOwed();
    expect(withdrawn).toHaveLength(tries);
  });

  test('a booking that is moved when its reminder was just accepted, and the send queue went away', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const accept: typeof api.messages.accept = async (...asked) => {
      const answer = await api.messages.accept(...asked);
      await bookings.change(salon(), 'b1', moved, undefined);
      api.queue.isAway = true;
      return answer;
    };
    const result = await reminderProcessor({ bookings, messages: { accept } })(job());
    expect(result).toMatchObject({ sent: false });
    api.queue.isAway = false;
    await bookings.withdrawOwed();
    expect(await stateOf(sent()[0]?.id)).toBe('cancelled');
  });

  test('one that is being sent in that moment is withdrawn when its attempt fails and it waits again', async () => {
    const id = await reminded();
    const cancel = withdrawalBy({
      ...api.messages,
      cancel: () => Promise.reject(new AppError('CONFLICT', { detail: 'It is being sent.' })),
    });
    const usual = withdraw;
    withdraw = cancel;
    await bookings.change(salon(), 'b1', moved, undefined);
    expect(await stateOf(id)).toBe('queued');
    withdraw = usual;
    await bookings.withdrawOwed();
    expect(await stateOf(id)).toBe('cancelled');
  });

  test('one that stays on its way, because it waits for a person, is not looked at again and again', async () => {
    await reminded();
    let looks = 0;
    withdraw = () => {
      looks += 1;
      return Promise.resolve(false);
    };
    await bookings.change(salon(), 'b1', moved, undefined);
    expect(looks).toBe(1);
    for (let turn = 0; turn < 3; turn += 1) await bookings.withdrawOwed();
    expect(looks).toBe(2);
  });

  test('one that cannot be withdrawn keeps no other one waiting', async () => {
    const id = await reminded();
    const usual = withdraw;
    api.queue.isAway = true;
    await bookings.change(salon(), 'b1', moved, undefined);
    api.queue.isAway = false;
    const stuck = '00000000-0000-7000-8000-000000000000';
    await api.record.bookings.oweWithdrawal(salon(), stuck);
    withdraw = (owner, asked) => (asked === stuck ? Promise.reject(new Error('a fault')) : usual(owner, asked));
    await expect(bookings.withdrawOwed()).rejects.toThrow('a fault');
    expect(await stateOf(id)).toBe('cancelled');
    await api.record.bookings.settleWithdrawal(stuck);
  });
});

describe('Q5 · two at once', () => {
  const moved = (day: number) => {
    const written = `2027-02-0${day}T10:30:00+03:00`;
    return { startsAtMs: Date.parse(written), startsAtWritten: written };
  };

  test('two changes of different fields are both kept, and the reminder follows the new time', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = `race${round}`;
      await bookings.create(salon(), id, fields(), ['day_before']);
      await Promise.all([
        bookings.change(salon(), id, moved(5), undefined),
        bookings.change(salon(), id, { serviceName: 'Colour' }, undefined),
        bookings.change(salon(), id, { customerName: 'Grace' }, undefined),
      ]);
      const booking = await bookings.get(salon(), id);
      expect(booking).toMatchObject({ serviceName: 'Colour', customerName: 'Grace', startsAtMs: moved(5).startsAtMs });
      expect(booking.reminders).toMatchObject([{ status: 'scheduled', dueAtMs: moved(5).startsAtMs - 86_400_000 }]);
    }
  });

  test('a change and a cancellation: cancelled it stays, and nothing is sent', async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = `end${round}`;
      await bookings.create(salon(), id, fields(), ['day_before', 'hour_before']);
      const [change, cancel] = await Promise.allSettled([
        bookings.change(salon(), id, moved(5), undefined),
        bookings.cancel(salon(), id),
      ]);
      expect(cancel.status).toBe('fulfilled');
      if (change.status === 'rejected') expect(change.reason).toMatchObject({ code: 'CONFLICT' });
      const booking = await bookings.get(salon(), id);
      expect(booking.status).toBe('cancelled');
      expect(booking.reminders.map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
      nowMs = moved(5).startsAtMs - 3_600_000;
      expect(await bookings.judge(salon(), id, 'hour_before')).toMatchObject({ kind: 'drop' });
      nowMs = Date.parse('2027-01-20T09:00:00Z');
    }
  });

  test('a booking that is moved while its reminder goes out is reminded of the new time too', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    const meanwhile: Bookings = {
      ...bookings,
      async reminded(...stamp) {
        await bookings.change(salon(), 'b1', moved(5), undefined);
        return await bookings.reminded(...stamp);
      },
    };
    await reminderProcessor({ bookings: meanwhile, messages: api.messages })(job());
    expect((await bookings.get(salon(), 'b1')).reminders).toMatchObject([{ status: 'scheduled' }]);
    nowMs = dueOf('day_before') ?? 0;
    expect(await run()).toMatchObject({ sent: true });
    expect(sent()).toHaveLength(2);
  });

  test('two workers with the same reminder send it once', async () => {
    await bookings.create(salon(), 'b1', fields(), ['day_before']);
    nowMs = dueOf('day_before') ?? 0;
    await Promise.all([run(), run(), run()]);
    expect(sent()).toHaveLength(1);
  });
});

test('Q5 · a reminder that comes late into quiet hours waits for their end', async () => {
  await bookings.create(salon(), 'b1', fields(), ['day_before']);
  nowMs = Date.parse('2027-02-01T23:00:00+03:00');
  await expect(run()).rejects.toMatchObject({ atMs: Date.parse('2027-02-02T08:00:00+03:00') });
});

test('Q5 · no reminder goes out after the booking has begun', async () => {
  await bookings.create(salon(), 'b1', fields(), ['hour_before']);
  nowMs = Date.parse(START);
  expect(await run('hour_before')).toMatchObject({ sent: false });
  expect((await bookings.get(salon(), 'b1')).reminders).toMatchObject([{ status: 'skipped' }]);
});

test('Q5 · a booking is made and moved while the job queue is away, and its reminder is put up when it is back', async () => {
  const [schedule, cancel] = [reminders.schedule.bind(reminders), reminders.cancel.bind(reminders)];
  reminders.schedule = reminders.cancel = () => Promise.reject(new AppError('QUEUE_UNAVAILABLE'));
  await bookings.create(salon(), 'b1', fields(), ['day_before', 'hour_before']);
  const later = '2027-02-05T10:30:00+03:00';
  const moved = { startsAtMs: Date.parse(later), startsAtWritten: later };
  const { reminders: planned } = await bookings.change(salon(), 'b1', moved, ['day_before']);
  const due = planned.find(({ kind }) => kind === 'day_before')?.dueAtMs ?? 0;
  nowMs = due - 60_000;
  Object.assign(reminders, { schedule, cancel });
  await bookings.sweep();
  expect([dueOf('day_before'), dueOf('hour_before')]).toEqual([due, undefined]);
});

test('Q5 · a reminder whose job was lost is put up again before it is due', async () => {
  await bookings.create(salon(), 'b1', fields(), ['day_before']);
  const due = dueOf('day_before') ?? 0;
  reminders.waiting.clear();
  await bookings.sweep();
  expect(dueOf('day_before')).toBeUndefined();
  nowMs = due - 60_000;
  await bookings.sweep();
  expect(dueOf('day_before')).toBe(due);
});
