import { describe, expect, test } from 'vitest';
import { maskAnswer } from '../../src/http/board/mask.ts';
import { maskData, maskMessage, maskNumbers, maskPerson, maskText, maskWords, orNull } from '../../src/http/mask.ts';

describe('what those see who may not see people', () => {
  test('numbers keep two digits and addresses nothing, also in the middle of a sentence of ours', () => {
    expect(maskText('no answer from +49 151 2345-6789, try ada@example.com')).toBe(
      'no answer from •••••89, try •••@•••',
    );
    expect(maskText('code 131026 after 3 attempts')).toBe('code 131026 after 3 attempts');
  });

  test('a field that names a person shows no name, and of the shortest number two digits', () => {
    expect(['4915112345678', '123', 'Ada', ''].map(maskPerson)).toEqual(['•••••78', '•••••23', '•••••', '•••••']);
  });

  test('texts tell their length; what is empty or missing stays so', () => {
    expect([maskWords('hello'), maskWords('')]).toEqual(['[5 characters]', '']);
    expect([orNull('hello', maskWords), orNull(null, maskWords)]).toEqual(['[5 characters]', null]);
  });

  test('data keeps its shape; only named fields are shown, and not when they hold a number or an address', () => {
    const data = { id: 'm1', sender: '4915112345678', status: 'ada@x.de', text: [{ body: 'hello' }], n: 3, on: true };
    expect(maskData(data)).toEqual({
      id: 'm1',
      sender: '•••••78',
      status: '[8 characters]',
      text: [{ body: '[5 characters]' }],
      n: 3,
      on: true,
    });
    expect(maskNumbers({ detail: ['call 4915112345678'], retryable: false })).toEqual({
      detail: ['call •••••78'],
      retryable: false,
    });
  });

  test('a message keeps its ids and its state', () => {
    const message = { id: 'm1', type: 'text', conversation: '+4915112345678', to: '+4915112345678', status: 'sent' };
    expect(maskMessage({ ...message, text: { body: 'hello' }, error: { detail: 'not 4915112345678' } })).toEqual({
      ...message,
      conversation: '•••••78',
      to: '•••••78',
      text: { body: '[5 characters]' },
      error: { detail: 'not •••••78' },
    });
  });

  test("the board's jobs are masked wherever they stand in an answer, and so are log lines", () => {
    const job = { id: '7', data: { to: '4915112345678' }, failedReason: 'ada@x.de', progress: 5, returnValue: null };
    const masked = { ...job, data: { to: '•••••78' }, failedReason: '•••@•••' };
    expect(maskAnswer({ queues: [{ name: 'send', jobs: [job] }], job })).toEqual({
      queues: [{ name: 'send', jobs: [masked] }],
      job: masked,
    });
    expect(maskAnswer(['to 4915112345678'])).toEqual(['to •••••78']);
  });
});
