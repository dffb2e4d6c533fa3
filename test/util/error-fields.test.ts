import { Redis } from 'ioredis';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import { errorFields } from '../../src/util/error-fields.ts';
import { sql } from '../support/postgres.ts';
import { testDatabase, testRedis } from '../support/services.ts';

/** What a person wrote to a customer. */
const TEXT = 'planted text to +4915112345678';
const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('it should fail'),
    (error: unknown) => error,
  );

describe('F49 · an error in the log', () => {
  test('of PostgreSQL says which rule was broken, and nothing of the row', async () => {
    const { url } = await testDatabase();
    await sql(url, `create table strict (body text constraint is_short check (length(body) < 3))`);
    const error = await errorOf(sql(url, 'insert into strict values ($1)', [TEXT]));
    expect(error).toMatchObject({ detail: expect.stringContaining('planted') as string });
    const fields = errorFields(error);
    expect(fields).toMatchObject({ code: '23514', table: 'strict', constraint: 'is_short' });
    const caused = errorFields(new AppError('RECORD_UNAVAILABLE', { cause: error }));
    expect(caused).toMatchObject({
      code: 'RECORD_UNAVAILABLE',
      message: expect.stringContaining('is_short') as string,
    });
    expect(JSON.stringify([fields, caused])).not.toContain('planted');
  });

  test('of Redis says what went wrong, and nothing of what was to be stored', async () => {
    const client = new Redis((await testRedis()).url);
    onTestFinished(() => client.disconnect());
    await client.set('text', '');
    const error = await errorOf(client.lpush('text', TEXT));
    expect(JSON.stringify(error)).toContain('planted');
    const fields = errorFields(error);
    expect(fields).toMatchObject({ message: expect.stringContaining('WRONGTYPE') as string });
    expect(JSON.stringify(fields)).not.toContain('planted');
  });

  test.each([TEXT, `{"body": ${TEXT}}`, `${TEXT} `.repeat(100)])(
    'of JSON does not quote what it is not: %.20s',
    (text) => {
      const error = (() => {
        try {
          return JSON.parse(text) as unknown;
        } catch (reason) {
          return reason;
        }
      })();
      expect(errorFields(error)).toMatchObject({ type: 'SyntaxError' });
      expect(JSON.stringify(errorFields(error))).not.toContain('planted');
    },
  );

  test('what is no error stays as it is', () => {
    expect(errorFields('gone')).toBe('gone');
  });
});
