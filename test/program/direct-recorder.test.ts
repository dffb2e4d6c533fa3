import pino from 'pino';
import { expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import type { MessageEvent } from '../../src/model/events.ts';
import { createDirectRecorder } from '../../src/program/direct-recorder.ts';
import { accepted } from '../record/support/events.ts';

const eventsOf = (messageId: string) => [accepted({ messageId })] as readonly MessageEvent[];

test('S7 · a direct send that cannot be recorded is said and left out, and those behind it are recorded', async () => {
  const written: string[] = [];
  const lines: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => lines.push(line) });
  const recorder = createDirectRecorder(
    {
      write: ([first]) => {
        if (first?.messageId === 'bad') return Promise.reject(new Error('value too long'));
        written.push(first?.messageId ?? '');
        return Promise.resolve([]);
      },
    },
    log,
  );
  for (const id of ['a', 'bad', 'b']) recorder.add(eventsOf(id));
  await recorder.stop();
  expect(written).toEqual(['a', 'b']);
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['bad']);
});

test('S7 · what cannot be recorded now is kept in its order until the record is there', async () => {
  const written: string[] = [];
  let isAway = true;
  const recorder = createDirectRecorder(
    {
      write: ([first]) => {
        if (isAway) return Promise.reject(new AppError('RECORD_UNAVAILABLE'));
        written.push(first?.messageId ?? '');
        return Promise.resolve([]);
      },
    },
    pino({ level: 'silent' }),
  );
  for (const id of ['a', 'b']) recorder.add(eventsOf(id));
  await Promise.resolve();
  isAway = false;
  await recorder.stop();
  expect(written).toEqual(['a', 'b']);
});
