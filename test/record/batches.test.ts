import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { newId } from '../../src/util/ids.ts';
import { sql } from '../support/postgres.ts';
import { accepted, BASE_MS, ERROR, sent, status } from './support/events.ts';
import { logOf, recordAll, recordOfFile } from './support/record.ts';

const { url } = await recordOfFile();

const LATER = { waitMs: 1000, retriesMax: 2 };
const WORDS = ['failed', 'sent', 'failed', 'delivered', 'failed', 'read'] as const;

/**
 * A status of the nth time that the message was sent, in one of two seconds. All failures are in the first: told with
 * another time once more, a failure keeps what was told of it first.
 */
interface Told {
  readonly word: (typeof WORDS)[number];
  readonly time: number;
  readonly second: number;
}
/** What the recorder hears between one look of the retry worker and the next. */
interface Round {
  readonly before: readonly Told[];
  readonly after: readonly Told[];
}

function eventsOf(messageId: string, round: Round, n: number): LifecycleEvent[] {
  const told = ({ word, time, second }: Told): LifecycleEvent => ({
    ...status(`wamid.${messageId}.${Math.min(time, n)}`, word, BASE_MS + (word === 'failed' ? 0 : 1000 * second), {
      ...(word === 'failed' ? { error: ERROR } : {}),
    }),
    ...(word === 'failed' ? { laterRetry: LATER } : {}),
  });
  const back: LifecycleEvent =
    n === 1
      ? accepted({ messageId })
      : { type: 'redriven', messageId, atMs: BASE_MS + 1000 * n, cause: 'report', by: 'waxwing', delayMs: 1 };
  const again = sent(messageId, `wamid.${messageId}.${n}`, n);
  return [back, ...round.before.map(told), again, ...round.after.map(told)];
}

/** What the retry worker looks for: a reported failure that goes again. */
async function goesAgain(messageId: string): Promise<boolean> {
  const rows = await sql(
    url,
    `select from whatsapp_delivery_failures
     where id = $1 and status = 'PENDING' and metadata @> '{"source": "report"}'`,
    [messageId],
  );
  return rows.length > 0;
}

/**
 * All that the record says of a message, but for its own ids and for when it was written. A failure that is over leaves
 * its row only where it was recorded before its end.
 */
async function lifeOf(messageId: string): Promise<string> {
  const rows = await sql<{ row: unknown }>(
    url,
    `select jsonb_build_object(
       'message', to_jsonb(message) - 'seq' - 'updated_at' - 'contact_id',
       'failure', (select to_jsonb(failure) - 'updated_at' - 'resolved_at' from whatsapp_delivery_failures failure
         where failure.id = message.id and failure.status <> 'RESOLVED'),
       'letter', (select to_jsonb(letter) - 'dead_at' from dead_letters letter where letter.message_id = message.id)
     ) as row from messages message where id = $1`,
    [messageId],
  );
  return JSON.stringify(rows, null, 1).replaceAll(messageId, 'the message');
}

describe('The recorder', () => {
  it('writes the same, however what it hears falls into batches', async () => {
    const told = fc.record({
      word: fc.constantFrom(...WORDS),
      time: fc.integer({ min: 1, max: 3 }),
      second: fc.integer({ min: 0, max: 1 }),
    });
    const round = fc.record({ before: fc.array(told, { maxLength: 2 }), after: fc.array(told, { maxLength: 3 }) });
    const life = fc.array(round, { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(life, async (rounds) => {
        const lives: string[] = [];
        for (const batchMax of [1, 2, 200]) {
          const messageId = newId();
          for (const [index, heard] of rounds.entries()) {
            if (index > 0 && !(await goesAgain(messageId))) break;
            const entries = eventsOf(messageId, heard, index + 1).map((event) => [event]);
            await recordAll(url, logOf(...entries), { batchMax });
          }
          lives.push(await lifeOf(messageId));
        }
        expect(lives[1]).toBe(lives[0]);
        expect(lives[2]).toBe(lives[0]);
      }),
      { numRuns: 30 },
    );
  });
});
