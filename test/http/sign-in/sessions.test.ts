import { describe, expect, test } from 'vitest';
import { AppError } from '../../../src/errors/app-error.ts';
import { createPageSessions } from '../../../src/http/sign-in/sessions.ts';
import type { SessionRecord } from '../../../src/record/index.ts';
import { newId } from '../../../src/util/ids.ts';

const SECRET = 'a secret of these tests';
const MINUTE = 60_000;

/** Sessions over a store in memory that can go away, at a clock of the test's. */
function setUp() {
  const rows = new Map<string, SessionRecord>();
  const state = { isAway: false, nowMs: Date.now() };
  const guard = () => (state.isAway ? Promise.reject(new AppError('RECORD_UNAVAILABLE')) : Promise.resolve());
  const sessions = createPageSessions({
    secret: SECRET,
    now: () => state.nowMs,
    store: {
      async open({ name, role, expiresAtMs }) {
        await guard();
        const row = { id: newId(), name, role, expiresAtMs };
        rows.set(row.id, row);
        return row;
      },
      async find(id) {
        await guard();
        return rows.get(id) ?? null;
      },
      async end(id) {
        await guard();
        rows.delete(id);
      },
    },
  });
  return { sessions, rows, state };
}
const ANN = { name: 'ann', role: 'operator', personId: null } as const;
const FROM = { network: '198.51.100.1' };

describe('a session of the pages', () => {
  test('is renewed while it is used, and over after twelve hours', async () => {
    const { sessions, state } = setUp();
    let { cookie } = await sessions.open(ANN, FROM);
    let renewals = 0;
    for (let minute = 0; minute < 12 * 60 - 1; minute += 7) {
      const signedIn = await sessions.read(cookie);
      expect(signedIn?.person).toEqual({ name: 'ann', role: 'operator' });
      if (signedIn?.renewed != null) {
        renewals += 1;
        cookie = signedIn.renewed;
      }
      state.nowMs += 7 * MINUTE;
    }
    expect(renewals).toBeGreaterThan(40);
    state.nowMs += 7 * MINUTE;
    expect(await sessions.read(cookie)).toBeNull();
  });

  test('that slept longer than its token is asked for in the record', async () => {
    const { sessions, state } = setUp();
    const { cookie } = await sessions.open(ANN, FROM);
    state.nowMs += 3 * 60 * MINUTE;
    expect(await sessions.read(cookie)).toMatchObject({ renewed: expect.any(String) as string });
  });

  test('is believed while the record is away, until its token runs out', async () => {
    const { sessions, state } = setUp();
    const { cookie } = await sessions.open(ANN, FROM);
    state.isAway = true;
    expect(await sessions.read(cookie)).toMatchObject({ person: { name: 'ann' }, renewed: null });
    state.nowMs += 16 * MINUTE;
    expect(await sessions.read(cookie)).toBeNull();
    state.isAway = false;
    expect(await sessions.read(cookie)).not.toBeNull();
  });

  test('that was ended here is over although the record is away', async () => {
    const { sessions, state } = setUp();
    const { cookie } = await sessions.open(ANN, FROM);
    await sessions.end(cookie);
    state.isAway = true;
    expect(await sessions.read(cookie)).toBeNull();
  });

  test('can be opened with a token while the record is away, for a quarter of an hour', async () => {
    const { sessions, state } = setUp();
    state.isAway = true;
    const { cookie, isBrief, maxAgeSeconds } = await sessions.open(ANN, FROM);
    expect([isBrief, maxAgeSeconds]).toEqual([true, 900]);
    expect(await sessions.read(cookie)).toMatchObject({ person: { name: 'ann' }, renewed: null });
    state.nowMs += 16 * MINUTE;
    expect(await sessions.read(cookie)).toBeNull();
    await expect(sessions.open({ ...ANN, personId: newId() }, FROM)).rejects.toThrow();
  });

  test('is no longer than the token that opened it', async () => {
    const { sessions, state } = setUp();
    const { cookie } = await sessions.open(ANN, { ...FROM, lifetimeMs: 20 * MINUTE });
    state.nowMs += 19 * MINUTE;
    const renewed = (await sessions.read(cookie))?.renewed ?? cookie;
    state.nowMs += 2 * MINUTE;
    expect(await sessions.read(renewed)).toBeNull();
  });
});
