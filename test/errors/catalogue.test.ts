import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { AppError, hasCode } from '../../src/errors/app-error.ts';
import { ERRORS, type ErrorCode, type ErrorEntry } from '../../src/errors/catalogue.ts';
import { toProblem } from '../../src/errors/problem.ts';
import { PROVIDER_ERROR_CODES } from '../../src/providers/contract.ts';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const [answers = '', inMessages = ''] = page.split('## The field `error` of a message');
const rows = (part: string) =>
  [...part.matchAll(/^\| `([A-Z_]+)`\s*\|(.*)\|$/gm)].map((row) => ({
    code: row[1] ?? '',
    cells: (row[2] ?? '').split('|').map((cell) => cell.trim()),
  }));
const catalogue: [string, ErrorEntry][] = Object.entries(ERRORS);

describe('docs/errors.md', () => {
  test('lists exactly the codes of the catalogue, with their status and whether a repeat makes sense', () => {
    const documented = rows(answers).map(({ code, cells }) => [code, cells[0], cells[1]]);
    const known = catalogue.map(([code, entry]) => [code, String(entry.status), entry.retryable ? 'yes' : 'no']);
    expect(documented.sort()).toEqual(known.sort());
  });

  test("lists exactly the codes that a message's error can have", () => {
    const rooms = ['worker', 'failures'].map((room) => new URL(`../../src/${room}/`, import.meta.url));
    const made = rooms
      .flatMap((room) => readdirSync(room).map((file) => readFileSync(new URL(file, room), 'utf8')))
      .flatMap((source) => [...source.matchAll(/\bcode: [^\n]*'([A-Z_]+)'/g)].map((match) => match[1] ?? ''));
    const known = new Set([...Object.keys(PROVIDER_ERROR_CODES), ...made]);
    expect(
      rows(inMessages)
        .map(({ code }) => code)
        .sort(),
    ).toEqual([...known].sort());
  });
});

describe('the catalogue', () => {
  test.each(catalogue)('%s says what to do in a whole sentence', (_code, entry) => {
    expect(entry.title).toMatch(/^[A-Z].*[^.]$/);
    expect(entry.detail).toMatch(/^[A-Z].*\.$/);
    expect(entry.status).toBeGreaterThanOrEqual(400);
  });

  test('429 and 503 always carry Retry-After', () => {
    for (const [code, entry] of catalogue) {
      if (entry.status === 429 || entry.status === 503) expect(entry.retryAfterSeconds, code).toBeGreaterThan(0);
    }
  });
});

describe('toProblem()', () => {
  test('has the fields of RFC 9457 and ours, and nothing of the cause', () => {
    const cause = new Error('password=hunter2');
    const problem = toProblem(new AppError('CONFLICT', { detail: 'Do that.', field: 'a.b', cause }), 'r1');
    expect(problem).toEqual({
      type: 'urn:waxwing:error:CONFLICT',
      title: ERRORS.CONFLICT.title,
      status: 409,
      code: 'CONFLICT',
      detail: 'Do that.',
      field: 'a.b',
      requestId: 'r1',
    });
  });

  test('leaves the field out when there is none', () => {
    expect(toProblem(new AppError('INTERNAL' satisfies ErrorCode), 'r1')).not.toHaveProperty('field');
  });
});

describe('hasCode()', () => {
  test('is true for an operating error with one of the codes, and for nothing else', () => {
    const away = new AppError('RECORD_UNAVAILABLE');
    expect(hasCode(away, 'RECORD_UNAVAILABLE')).toBe(true);
    expect(hasCode(away, 'QUEUE_UNAVAILABLE', 'RECORD_UNAVAILABLE')).toBe(true);
    expect(hasCode(away, 'QUEUE_UNAVAILABLE')).toBe(false);
    expect(hasCode(Object.assign(new Error(), { code: 'RECORD_UNAVAILABLE' }), 'RECORD_UNAVAILABLE')).toBe(false);
    expect(hasCode(undefined, 'RECORD_UNAVAILABLE')).toBe(false);
  });
});
