import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSignIn } from '../../src/http/sign-in/sign-in.ts';
import { openRecord, type WaxwingRecord } from '../../src/record/index.ts';
import { hashPassword } from '../../src/util/passwords.ts';
import { createSecretBox } from '../../src/util/secret-box.ts';
import { eventually } from '../support/eventually.ts';
import { testDatabase } from '../support/services.ts';

const PASSWORD = 'correct horse battery staple';
const GUESSES = 10_000;
const AT_ONCE = 20;

let databaseUrl: string;
let record: WaxwingRecord;
const signIn = (over: WaxwingRecord = record) =>
  createSignIn({ record: over, checkJwt: () => Promise.resolve({ kind: 'invalid' }) });
const open = (signInAttempts?: Parameters<typeof openRecord>[0]['signInAttempts']) =>
  openRecord({
    databaseUrl,
    tenantDefaults: { concurrency: 5, weight: 1, backlogMax: 1000 },
    secretBox: createSecretBox({ key: 'secret-key-of-these-tests' }),
    ...(signInAttempts === undefined ? {} : { signInAttempts }),
  });

beforeAll(async () => {
  ({ url: databaseUrl } = await testDatabase());
  record = open();
  const passwordHash = await hashPassword(PASSWORD);
  for (const name of ['one', 'many', 'owner', 'timed']) await record.people.add({ name, role: 'admin', passwordHash });
});
afterAll(() => record.close());

/** @returns how many guesses had their password looked at */
async function attack(name: string, networkOf: (guess: number) => string): Promise<number> {
  const attempt = signIn();
  let lookedAt = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let guess = next++; guess < GUESSES; guess = next++) {
        const { kind } = await attempt({ kind: 'password', name, password: `guess ${guess}` }, networkOf(guess));
        expect(kind).not.toBe('signed-in');
        if (kind === 'refused') lookedAt += 1;
      }
    }),
  );
  return lookedAt;
}

test.each([
  ['one', 1],
  ['many', 200],
])(
  `F47 · of ${GUESSES} guesses at the account %s from %i addresses a handful is looked at`,
  async (name, addresses) => {
    const startedAt = performance.now();
    const lookedAt = await attack(name, (guess) => `203.0.113.${guess % addresses}`);
    const elapsedSeconds = (performance.now() - startedAt) / 1000;
    // Five at once, then after 1, 2, 4, 8 … seconds one more.
    const bound = 5 + Math.ceil(Math.log2(elapsedSeconds + 1)) + 1;
    console.log(
      `F47: ${addresses} addresses, ${GUESSES} guesses in ${elapsedSeconds.toFixed(1)} s: ${lookedAt} looked at, bound ${bound}`,
    );
    expect(lookedAt).toBeLessThanOrEqual(bound);
  },
);

test('F47 · nobody is locked out: after the wait the right password works, and the brake is off', async () => {
  const short = open({
    account: { free: 3, firstMs: 50, longestMs: 400 },
    network: { free: 1000, firstMs: 50, longestMs: 400 },
  });
  const attempt = signIn(short);
  for (let guess = 0; guess < 50; guess++) {
    await attempt({ kind: 'password', name: 'owner', password: `guess ${guess}` }, '203.0.113.1');
  }
  const right = { kind: 'password', name: 'owner', password: PASSWORD } as const;
  await eventually(async () => expect((await attempt(right, '198.51.100.7')).kind).toBe('signed-in'));
  expect((await attempt({ ...right, password: 'a slip' }, '198.51.100.7')).kind).toBe('refused');
  expect((await attempt(right, '198.51.100.7')).kind).toBe('signed-in');
  await short.close();
});

test('F47 · strangers who guess at an account do not keep its owner out of the network from which the owner signs in', async () => {
  const person = await record.people.find('owner');
  const session = { personId: person?.id ?? null, name: 'owner', role: 'admin', network: '198.51.100.9' } as const;
  await record.sessions.open({ ...session, expiresAtMs: Date.now() + 60_000 });
  const attempt = signIn();
  for (let guess = 0; guess < 100; guess++) {
    await attempt({ kind: 'password', name: 'owner', password: `guess ${guess}` }, `203.0.113.${guess}`);
  }
  const right = { kind: 'password', name: 'owner', password: PASSWORD } as const;
  expect((await attempt(right, '203.0.113.200')).kind).toBe('wait');
  expect((await attempt(right, '198.51.100.9')).kind).toBe('signed-in');
});

test('F47 · the time of an answer does not tell whether a name exists', async () => {
  const generous = { free: 100_000, firstMs: 1, longestMs: 1 };
  const open_ = open({ account: generous, network: generous });
  const attempt = signIn(open_);
  const times: Record<string, number[]> = { known: [], unknown: [] };
  for (let round = 0; round < 60; round++) {
    for (const kind of round % 2 === 0 ? ['known', 'unknown'] : ['unknown', 'known']) {
      const startedAt = performance.now();
      const name = kind === 'known' ? 'timed' : `nobody${round}`;
      await attempt({ kind: 'password', name, password: `guess ${round}` }, '203.0.113.5');
      times[kind]?.push(performance.now() - startedAt);
    }
  }
  const median = (list: number[] = []) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? NaN;
  const [known, unknown] = [median(times['known']), median(times['unknown'])];
  console.log(`F47: median ${known.toFixed(1)} ms for a known name, ${unknown.toFixed(1)} ms for an unknown one`);
  // Without the work for nobody's hash an unknown name would answer in a fraction of the time.
  expect(unknown / known).toBeGreaterThan(0.6);
  expect(unknown / known).toBeLessThan(1.6);
  await open_.close();
});
