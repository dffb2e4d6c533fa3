import { describe, expect, it } from 'vitest';
import { classify, classifyBare, readEnvelope, type CloudErrorEnvelope } from '../../src/providers/cloud/errors.ts';
import { CLOUD_ERRORS, CLOUD_ERROR_RANGES } from '../../src/providers/cloud/error-table.ts';
import type { ErrorClass } from '../../src/providers/contract.ts';
import { watchStandstill } from '../support/standstill.ts';

/** Meta's table as we verified it, told a second time: code, HTTP status, class. A change here is a decision. */
const VERIFIED: readonly [codes: readonly number[], httpStatus: number, errorClass: ErrorClass][] = [
  [[0, 190], 401, 'credentials'],
  [[1], 400, 'retry-soon'],
  [[2], 503, 'retry-soon'],
  [[3], 500, 'credentials'],
  [[4], 429, 'retry-later'],
  [[10, 200, 201, 210, 298, 299, 131005], 403, 'credentials'],
  [[33], 400, 'sender-pause'],
  [[100], 400, 'payload'],
  [[368], 403, 'sender-pause'],
  [[613, 80007, 80008], 400, 'retry-later'],
  [[130403], 400, 'recipient'],
  [[130429], 429, 'sender-slow'],
  [[130472], 400, 'recipient'],
  [[130497], 403, 'recipient'],
  [[131000], 500, 'retry-soon'],
  [[131008, 131009], 400, 'payload'],
  [[131016], 500, 'retry-soon'],
  [[131021, 131026, 131030], 400, 'recipient'],
  [[131031], 403, 'sender-pause'],
  [[131037, 131042, 131044, 131045], 400, 'sender-pause'],
  [[131043], 400, 'payload'],
  [[131047], 400, 'payload'],
  [[131048], 400, 'sender-pause'],
  [[131049], 400, 'retry-later'],
  [[131050], 400, 'recipient'],
  [[131051, 131052, 131060, 131053, 131055], 400, 'payload'],
  [[131056], 403, 'pair'],
  [[131057], 500, 'sender-slow'],
  [[131062, 131063], 400, 'payload'],
  [[131064], 400, 'sender-pause'],
  [[132000, 132005, 132008, 132012, 132018], 400, 'payload'],
  [[132001], 404, 'template'],
  [[132007, 132015, 132016], 400, 'template'],
  [[132068], 400, 'payload'],
  [[132069], 400, 'retry-later'],
  [[133000], 500, 'retry-later'],
  [[133004], 503, 'retry-soon'],
  [[133005, 133006, 133008, 133009, 133010], 400, 'sender-pause'],
  [[133015, 133016], 400, 'retry-later'],
  [[134011, 134100], 400, 'payload'],
  [[134101], 500, 'retry-later'],
  [[134102], 400, 'template'],
  [[135000], 400, 'payload'],
  [[137000], 400, 'recipient'],
  [[131020, 131041, 131059, 131201, 131206, 131209, 131214], 400, 'payload'],
  [[131207], 400, 'recipient'],
  [[131208], 400, 'retry-later'],
  [[138000, 138999, 139000, 139999, 2388000, 2388024, 2388999], 400, 'payload'],
];
const HOLDS_WITHOUT_ATTEMPT: readonly ErrorClass[] = ['pair', 'sender-slow', 'sender-pause', 'credentials'];

function envelope(code: number, more: Partial<CloudErrorEnvelope> = {}): CloudErrorEnvelope {
  return { code, text: 'Details', traceId: 'AbC123', isTransient: false, ...more };
}

describe('table of Cloud API errors', () => {
  const rows = VERIFIED.flatMap(([codes, httpStatus, errorClass]) =>
    codes.map((code) => [code, errorClass, httpStatus] as const),
  );

  it.each(rows)('%i is %s', (code, errorClass, httpStatus) => {
    const outcome = classify(httpStatus, envelope(code));
    expect(outcome).toMatchObject({ kind: 'rejected', class: errorClass, httpStatus });
    expect(outcome.error).toMatchObject({ code: 'PROVIDER_REJECTED', providerCode: String(code) });
    expect(outcome.error.title).not.toMatch(/unknown error/i);
    const isFinal = ['recipient', 'payload', 'template'].includes(errorClass);
    expect(outcome.error.retryable).toBe(!isFinal);
    if (isFinal) expect(outcome.retryAfterMs).toBeUndefined();
  });

  it('the class does not depend on the HTTP status, which Meta changes', () => {
    for (const [code, errorClass] of rows) {
      for (const httpStatus of [400, 403, 429, 500]) {
        expect(classify(httpStatus, envelope(code)).class).toBe(errorClass);
      }
    }
  });

  it('has no entry that this list does not know', () => {
    const listed = new Set(rows.map(([code]) => code));
    expect(Object.keys(CLOUD_ERRORS).filter((code) => !listed.has(Number(code)))).toEqual([]);
    for (const { from, to } of CLOUD_ERROR_RANGES) expect([listed.has(from), listed.has(to)]).toEqual([true, true]);
  });

  it('tells in sentences what happened, what Waxwing does and what a person should do', () => {
    for (const entry of [...Object.values(CLOUD_ERRORS), ...CLOUD_ERROR_RANGES.map((range) => range.entry)]) {
      expect(entry.title).toMatch(/^[A-Z].*[^.]$/);
      for (const sentence of [entry.meaning, entry.waxwingDoes, entry.personShould]) {
        expect(sentence).toMatch(/^[A-Z].*\.$/);
      }
    }
  });

  it('the same code means another thing when the details say so', () => {
    const text = "Unsupported post request. Object with ID '1' does not exist";
    expect(classify(400, envelope(100, { text }))).toMatchObject({ class: 'sender-pause', error: { retryable: true } });
    expect(classify(400, envelope(100, { text: 'Invalid parameter' }))).toMatchObject({ class: 'payload' });
  });

  it('a code that a status reports later is final, but for those that have a policy of their own', () => {
    const later = Object.entries(CLOUD_ERRORS).flatMap(([code, { whenReportedLater: policy }]) =>
      policy === undefined ? [] : [[Number(code), policy.waitMs / 60_000, policy.retriesMax, policy.onlyForLink]],
    );
    expect(later).toEqual([
      [1, 1, 1, undefined],
      [2, 1, 2, undefined],
      [130429, 1, 2, undefined],
      [131000, 1, 2, undefined],
      [131016, 1, 2, undefined],
      [131047, 5, 1, undefined],
      [131049, 24 * 60, 1, undefined],
      [131053, 15, 1, true],
      [131056, 5, 2, undefined],
      [131057, 1, 2, undefined],
    ]);
  });

  it('limits that burn no attempt say so', () => {
    for (const entry of Object.values(CLOUD_ERRORS)) {
      if (HOLDS_WITHOUT_ATTEMPT.includes(entry.class)) expect(entry.attemptsMax).toBeUndefined();
    }
  });
});

describe('waits', () => {
  it('130429 slows the number for 1 s, 131057 holds it for 60 s', () => {
    expect(classify(429, envelope(130429)).retryAfterMs).toBe(1_000);
    expect(classify(500, envelope(131057)).retryAfterMs).toBe(60_000);
  });

  it('131056 leaves the wait to the retry policy unless WhatsApp asks for one', () => {
    // A wait in the outcome of every single attempt would keep the steps from growing; only WhatsApp's own counts.
    expect(classify(400, envelope(131056)).retryAfterMs).toBeUndefined();
    expect(classify(400, envelope(131056), { 'retry-after': '20' }).retryAfterMs).toBe(20_000);
  });

  it('131049 waits a day and is tried twice at most', () => {
    expect(classify(400, envelope(131049))).toMatchObject({ retryAfterMs: 86_400_000, attemptsMax: 2 });
  });

  it('Retry-After in seconds or as a date prolongs the wait of the table and never shortens it', () => {
    const nowMs = Date.parse('2026-11-21T12:00:00Z');
    const wait = (value: string) => classify(429, envelope(130429), { 'retry-after': value }, { nowMs }).retryAfterMs;
    expect(wait('30')).toBe(30_000);
    expect(wait('0')).toBe(1_000);
    expect(wait('Sat, 21 Nov 2026 12:01:00 GMT')).toBe(60_000);
    expect(wait('Sat, 21 Nov 2026 11:00:00 GMT')).toBe(1_000);
    for (const nonsense of ['soon', '-5', '1e9', '', '99999999999']) expect(wait(nonsense)).toBe(1_000);
  });

  it('no header holds a message back for more than a day', () => {
    expect(classify(500, envelope(2), { 'retry-after': '999999999' }).retryAfterMs).toBe(86_400_000);
  });

  it('call limits wait as long as the usage header says', () => {
    const usage = JSON.stringify({
      '123': [{ type: 'messages', call_count: 100, estimated_time_to_regain_access: 19 }],
      '456': [{ type: 'messages', estimated_time_to_regain_access: 3 }],
    });
    const headers = { 'x-business-use-case-usage': usage };
    expect(classify(400, envelope(80007), headers).retryAfterMs).toBe(19 * 60_000);
    expect(classify(400, envelope(80007), { 'x-business-use-case-usage': 'no json' }).retryAfterMs).toBe(300_000);
    expect(classify(400, envelope(131000), headers).retryAfterMs).toBeUndefined();
  });
});

describe('codes that the table does not know', () => {
  it('a 5xx or is_transient is tried again later, with a cap', () => {
    const expected = { class: 'retry-later', attemptsMax: 5, error: { providerCode: '424242', retryable: true } };
    expect(classify(500, envelope(424242))).toMatchObject(expected);
    expect(classify(400, envelope(424242, { isTransient: true }))).toMatchObject(expected);
  });

  it('a 4xx is tried once more and keeps its number', () => {
    const expected = { class: 'retry-later', attemptsMax: 2, error: { providerCode: '424242', retryable: true } };
    expect(classify(400, envelope(424242))).toMatchObject(expected);
  });

  it('names of object prototypes are no codes', () => {
    expect(readEnvelope({ error: { code: 'constructor', type: 'x' } })).toBeNull();
  });

  it('is_transient outweighs a final reading of a known code', () => {
    expect(classify(400, envelope(100, { isTransient: true }))).toMatchObject({ class: 'retry-later' });
    expect(classify(400, envelope(131026, { isTransient: true }))).toMatchObject({ class: 'recipient' });
  });
});

describe('the envelope', () => {
  it('is read with details before message', () => {
    const error = {
      message: '(#100) X',
      type: 'OAuthException',
      code: 100,
      error_data: { details: 'Y' },
      fbtrace_id: 'A',
    };
    expect(readEnvelope({ error })).toEqual({ code: 100, text: 'Y', traceId: 'A', isTransient: false });
    expect(readEnvelope({ error: { ...error, error_data: undefined, is_transient: true } })).toEqual({
      code: 100,
      text: '(#100) X',
      traceId: 'A',
      isTransient: true,
    });
  });

  it.each([
    [null],
    ['error'],
    [{ error: 'internal' }],
    [{ error: { message: 'x' } }],
    [{ error: { code: 502, message: 'upstream', status: 'UNAVAILABLE' } }],
    [{ error: { code: -1, type: 'x' } }],
    [{ errors: [{ code: 100 }] }],
  ])('is not seen in %j', (answer) => {
    expect(readEnvelope(answer)).toBeNull();
  });
});

describe('refusals of something in between', () => {
  it.each([
    [429, 'sender-slow'],
    [401, 'credentials'],
    [407, 'credentials'],
    [413, 'payload'],
    [403, 'retry-later'],
    [404, 'retry-later'],
    [301, 'retry-later'],
  ] as const)('HTTP %i is %s', (httpStatus, errorClass) => {
    expect(classifyBare(httpStatus, {})).toMatchObject({ class: errorClass, error: { providerCode: null } });
  });
});

describe('what errors show', () => {
  const detailOf = (text: string, hidden: string[] = []): string =>
    classify(400, envelope(131009, { text }), {}, { hidden: () => hidden }).error.detail;

  it('the words of Meta and its trace id', () => {
    expect(detailOf('Parameter order_update of template en_US is missing')).toContain(
      'WhatsApp says: "Parameter order_update of template en_US is missing".',
    );
    expect(detailOf('x')).toContain('AbC123');
    expect(detailOf('A service is unavailable.')).toContain('WhatsApp says: "A service is unavailable". ');
  });

  it('no token, phone number, wamid or text of the message', () => {
    const token = 'EAAG'.concat('aB3dEfGh1jKlMnOpQrStUvWxYz0123456789');
    const wamid = 'wamid.HBgNNDkxNTExMjM0NTY3OBUCABEYEjk2MDA=';
    const detail = detailOf(`Malformed access token ${token}; +49 151 1234-5678, 4915112345678, ${wamid}, Hello Ada`, [
      'Hello Ada',
    ]);
    for (const secret of [token, '1234-5678', '4915112345678', wamid, 'Hello Ada'])
      expect(detail).not.toContain(secret);
    expect(detail).toContain('Malformed access token');
  });

  it('a text of any size in little time', () => {
    const standstill = watchStandstill();
    const startedMs = performance.now();
    for (const text of ['1'.repeat(9_999), '1 '.repeat(5_000), 'a'.repeat(9_999), '(((( '.repeat(2_000)]) {
      expect(detailOf(text).length).toBeLessThan(1_000);
    }
    expect(performance.now() - startedMs).toBeLessThan(500 + standstill.ms());
  });
});
