import pino from 'pino';
import { expect, test } from 'vitest';
import { AppError } from '../../src/errors/app-error.ts';
import type { MessageEvent } from '../../src/model/events.ts';
import { createDirectRecorder } from '../../src/program/direct-recorder.ts';
import { accepted } from '../record/support/events.ts';

const eventsOf = (messageId: string) => [accepted({ messageId })] as readonly MessageEvent[];
const idsOf = (messages: readonly (readonly MessageEvent[])[]) => messages.map(([first]) => first?.messageId ?? '');

test('S7 · a direct send that cannot be recorded is said and left out, and those behind it are recorded', async () => {
  const written: string[] = [];
  const lines: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => lines.push(line) });
  const recorder = createDirectRecorder(
    {
      write: (messages) => {
        if (idsOf(messages).includes('bad')) return Promise.reject(new Error('value too long'));
        written.push(...idsOf(messages));
        return Promise.resolve([]);
      },
    },
    log,
  );
  for (const id of ['first', 'a', 'bad', 'b']) void recorder.add(eventsOf(id));
  await recorder.stop();
  expect(written).toEqual(['first', 'a', 'b']);
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['bad']);
});

test('S7 · what cannot be recorded now is kept in its order until the record is there', async () => {
  const written: string[] = [];
  let isAway = true;
  const recorder = createDirectRecorder(
    {
      write: (messages) => {
        if (isAway) return Promise.reject(new AppError('RECORD_UNAVAILABLE'));
        written.push(...idsOf(messages));
        return Promise.resolve([]);
      },
    },
    pino({ level: 'silent' }),
  );
  for (const id of ['a', 'b']) void recorder.add(eventsOf(id));
  await Promise.resolve();
  isAway = false;
  await recorder.stop();
  expect(written).toEqual(['a', 'b']);
});

test('S7 · who sent directly is answered when that is recorded, and at once when it cannot be', async () => {
  const told: string[] = [];
  let write = () => Promise.resolve<never[]>([]);
  const recorder = createDirectRecorder(
    {
      async write(messages) {
        const threads = await write();
        told.push(`written ${idsOf(messages).join(' ')}`);
        return threads;
      },
    },
    pino({ level: 'silent' }),
  );
  const send = (id: string) => recorder.add(eventsOf(id)).then(() => told.push(`answered ${id}`));
  await Promise.all([send('a'), send('b'), send('b2')]);
  // Those that come while the first is written are written together.
  expect(told).toEqual(['written a', 'answered a', 'written b b2', 'answered b', 'answered b2']);
  write = () => Promise.reject(new AppError('RECORD_UNAVAILABLE'));
  told.length = 0;
  await Promise.all([send('c'), send('d')]);
  expect(told).toEqual(['answered c', 'answered d']);
  await recorder.stop();
});
