import { expect, test } from 'vitest';
import type { MessageEvent } from '../../src/model/events.ts';
import { newId } from '../../src/util/ids.ts';
import { testDatabase } from '../support/services.ts';
import { accepted, sent } from './support/events.ts';
import { openTestRecord, snapshot } from './support/record.ts';

test('S7 · what was sent directly and is written twice, because the answer of the commit was lost, stands once', async () => {
  const { url } = await testDatabase();
  const record = openTestRecord(url);
  const [one, other, third] = [newId(), newId(), newId()];
  const eventsOf = (id: string) =>
    [accepted({ messageId: id, conversation: 'c1' }), sent(id, `wamid.${id}`)] as readonly MessageEvent[];
  try {
    const threads = await record.direct.write([eventsOf(one)]);
    expect(threads).toEqual([expect.objectContaining({ conversation: 'c1' })]);
    const written = await snapshot(url);
    expect(written['message_events']).toHaveLength(2);
    // Caches hear of it again: nobody knows whether they were told.
    expect(await record.direct.write([eventsOf(one)])).toEqual(threads);
    expect(await snapshot(url)).toEqual(written);
    await record.direct.write([eventsOf(other), eventsOf(third)]);
    expect((await snapshot(url))['message_events']).toHaveLength(6);
  } finally {
    await record.close();
  }
});
