import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { waitSecondsOf } from '../../src/http/messages/prefer.ts';
import { canonicalJson, digestOf, generateIdempotencyKey } from '../../src/messages/fingerprint.ts';
import { findJsonFault } from '../../src/messages/plain-json.ts';
import { chooseShard } from '../../src/messages/shard.ts';
import { timelineOf } from '../../src/messages/timeline.ts';

describe('canonicalJson()', () => {
  test('is the same for every order of the keys and differs for every other value', () => {
    expect(canonicalJson({ b: [1, { d: 1, c: null }], a: 'x', u: undefined })).toBe(
      '{"a":"x","b":[1,{"c":null,"d":1}]}',
    );
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(canonicalJson(JSON.parse(JSON.stringify(a)))).toBe(canonicalJson(a));
        const isSame = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(digestOf(a).equals(digestOf(b))).toBe(isSame);
      }),
      { numRuns: 500 },
    );
  });
});

describe('F3 · generateIdempotencyKey()', () => {
  test('F3 · is whatsapp:<phone>:<16 hex>, and the same for the same phone, text and type', () => {
    const key = generateIdempotencyKey('+4915112345678', 'hello');
    expect(key).toMatch(/^whatsapp:\+4915112345678:[0-9a-f]{16}$/);
    expect(generateIdempotencyKey('+4915112345678', 'hello', { type: 'text' })).toBe(key);
    expect(generateIdempotencyKey('+4915112345678', 'hello ')).not.toBe(key);
    expect(generateIdempotencyKey('+4915112345679', 'hello')).not.toBe(key);
    expect(generateIdempotencyKey('+4915112345678', 'hello', { type: 'reminder' })).not.toBe(key);
  });

  test('F2 · F3 · is the same however the phone number is written, as for sendMessage()', () => {
    const key = generateIdempotencyKey('+4915112345678', 'hello');
    for (const phone of ['+49 151 1234-5678', ' +49 (0)151 12345678', '＋4915112345678']) {
      expect(generateIdempotencyKey(phone, 'hello')).toBe(key);
    }
    expect(generateIdempotencyKey('US.13491208655302741918', 'hello')).toMatch(/^whatsapp:US\.13491208655302741918:/);
  });
});

describe('findJsonFault()', () => {
  test('finds nothing in what PostgreSQL stores', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 10, stringUnit: 'grapheme' }), (value) => {
        const fault = findJsonFault(value);
        expect(fault === null || JSON.stringify(value).includes('\\u0000')).toBe(true);
      }),
    );
  });

  test('counts 32 levels and finds faults anywhere without recursion', () => {
    let deep: unknown = 1;
    for (let i = 0; i < 32; i++) deep = [deep];
    expect(findJsonFault(deep)).toBeNull();
    expect(findJsonFault([deep])).toMatchObject({ field: '[0]'.repeat(32) });
    for (let i = 0; i < 200_000; i++) deep = [deep];
    expect(findJsonFault(deep)).not.toBeNull();
    expect(findJsonFault({ a: [{ b: '\u0000' }] })).toMatchObject({ field: 'a[0].b' });
    expect(findJsonFault({ a: Infinity })).toMatchObject({ field: 'a' });
  });
});

describe('waitSecondsOf()', () => {
  test.each([
    ['wait=5', 5],
    ['wait=0', 0],
    ['wait=31', 30],
    ['wait=999999999', 30],
    ['respond-async, wait=10', 10],
    ['wait=10;x, respond-async', 10],
    ['WAIT = "7"', 7],
    ['wait=-1', 0],
    ['wait=1.5', 0],
    ['await=5', 0],
    ['wait', 0],
    ['', 0],
    [undefined, 0],
    [['respond-async', 'wait=3'], 3],
  ])('%j is %d s', (header, seconds) => {
    expect(waitSecondsOf(header)).toBe(seconds);
  });
});

describe('chooseShard()', () => {
  test("keeps a tenant's senders together, the default sender in shard 0, and uses every shard", () => {
    const shards = 8;
    const of = (tenant: string, id: string) => chooseShard({ id, tenant }, null, shards);
    expect(of('t1', 'a')).toBe(of('t1', 'b'));
    expect(chooseShard({ id: 'c', tenant: 't1' }, { shard: 3 }, shards)).toBe(3);
    expect(chooseShard({ id: 'default', tenant: null }, null, shards)).toBe(0);
    const used = new Set(
      Array.from({ length: 200 }, (_, i) => chooseShard({ id: `s${i}`, tenant: null }, null, shards)),
    );
    expect([...used].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  // Marked, so that an object never looks like a list of its entries.
  return { entries: entries.map(([key, inner]) => [key, sorted(inner)]) };
}

describe('timelineOf()', () => {
  test('gives times with an offset their Z and leaves everything else as it is', () => {
    const detail = { recordedAt: '2027-01-31T11:30:00.5+02:00', delayMs: 5, readAt: 'never', by: 'ann@example.com' };
    expect(timelineOf([{ atMs: 0, event: 'sent', detail }]).items).toEqual([
      { at: '1970-01-01T00:00:00.000Z', event: 'sent', detail: { ...detail, recordedAt: '2027-01-31T09:30:00.500Z' } },
    ]);
  });
});
