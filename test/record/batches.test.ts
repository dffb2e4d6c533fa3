import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { newId } from '../../src/util/ids.ts';
import { sql } from '../support/postgres.ts';
import { accepted, BASE_MS, ERROR, report, sent, status } from './support/events.ts';
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

const OUTCOMES = ['retry', 'deferred', 'unknown', 'held', 'failed', 'sent', 'proved', 'cancelled', 'expired'] as const;

/** What the engine tells of an attempt and of what follows from it; the nth event of a message is at its nth second. */
function* engineEvents(messageId: string, outcomes: readonly (typeof OUTCOMES)[number][]): Generator<LifecycleEvent> {
  let atMs = BASE_MS;
  let slowRetries = 0;
  yield accepted({ messageId });
  for (const [index, outcome] of outcomes.entries()) {
    const rejected = report(index + 1, 'rejected', { ...ERROR, providerCode: String(131000 + index) });
    const lost = report(index + 1, 'ambiguous', ERROR);
    const at = () => ({ messageId, atMs: (atMs += 1000) });
    switch (outcome) {
      case 'retry':
        yield { type: 'retry', ...at(), delayMs: 500, report: rejected };
        break;
      case 'deferred':
        yield { type: 'deferred', ...at(), delayMs: 60_000, slowRetries, report: rejected };
        slowRetries += 1;
        yield { type: 'queued', ...at(), seq: 1000 + index };
        break;
      case 'unknown':
        yield { type: 'unknown', ...at(), waitMs: 60_000, report: lost };
        break;
      case 'held':
        yield { type: 'unknown', ...at(), waitMs: null, report: lost };
        yield { type: 'redriven', ...at(), cause: 'person', by: 'ada', delayMs: 0 };
        break;
      case 'failed':
        yield { type: 'failed', ...at(), error: ERROR, slowRetries, report: rejected };
        yield { type: 'redriven', ...at(), cause: 'person', by: 'ada', delayMs: 0 };
        slowRetries = 0;
        break;
      case 'sent':
        yield { ...sent(messageId, `wamid.${messageId}`, index + 1), slowRetries };
        return;
      case 'proved':
        yield { ...sent(messageId, `wamid.${messageId}`), report: null };
        return;
      default:
        yield { type: outcome, ...at() };
        return;
    }
  }
}

/**
 * All that the record says of a message, but for its own ids and for when it was written. A failure that is over leaves
 * its row only where it was recorded before its end.
 */
async function lifeOf(messageId: string, failures: 'all' | 'open' = 'open'): Promise<string> {
  const rows = await sql<{ row: unknown }>(
    url,
    `select jsonb_build_object(
       'message', to_jsonb(message) - 'seq' - 'updated_at' - 'contact_id',
       'failure', (select to_jsonb(failure) - 'updated_at' - 'resolved_at' from whatsapp_delivery_failures failure
         where failure.id = message.id and ($2 = 'all' or failure.status <> 'RESOLVED')),
       'attempts', (select jsonb_agg(to_jsonb(attempt) order by attempt.attempt) from attempts attempt
         where attempt.message_id = message.id),
       'letter', (select to_jsonb(letter) from dead_letters letter where letter.message_id = message.id)
     ) as row from messages message where id = $1`,
    [messageId, failures],
  );
  return JSON.stringify(rows, null, 1).replaceAll(messageId, 'the message');
}

describe('The recorder', () => {
  it('writes the same of what statuses told, however it falls into batches', async () => {
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

  it('writes the same of what the engine did, however it falls into batches', async () => {
    const life = fc.array(fc.constantFrom(...OUTCOMES), { minLength: 1, maxLength: 7 });
    await fc.assert(
      fc.asyncProperty(life, async (outcomes) => {
        const lives: string[] = [];
        for (const batchMax of [1, 2, 3, 200]) {
          const messageId = newId();
          const entries = [...engineEvents(messageId, outcomes)].map((event) => [event]);
          await recordAll(url, logOf(...entries), { batchMax });
          lives.push(await lifeOf(messageId, 'all'));
        }
        for (const other of lives.slice(1)) expect(other).toBe(lives[0]);
      }),
      { numRuns: 30 },
    );
  });
});
