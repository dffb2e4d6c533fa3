import { describe, expect, it } from 'vitest';
import { createRecorder } from '../../src/record/index.ts';
import type { LifecycleEvent } from '../../src/model/events.ts';
import { accepted, BASE_MS, sent, status } from '../record/support/events.ts';
import { MemoryLog } from '../record/support/memory-log.ts';
import { sql } from '../support/postgres.ts';
import { testDatabase } from '../support/services.ts';

const MESSAGES = 20_000;
/** Events per entry: about what one engine call makes under load. */
const EVENTS_PER_ENTRY = 8;
/** The aim is 5,000 per second on two cores; a floor far below it tells a mistake in a statement from a busy machine. */
const EVENTS_PER_SECOND_MIN = 2_000;

function* entriesOf(events: readonly LifecycleEvent[]): Generator<LifecycleEvent[]> {
  for (let start = 0; start < events.length; start += EVENTS_PER_ENTRY) {
    yield events.slice(start, start + EVENTS_PER_ENTRY);
  }
}

describe('recorder under load', () => {
  it.each(['accepted and sent apart', 'accepted and sent together', 'accepted, sent, delivered and read'])(
    'records thousands of events per second: %s',
    async (shape) => {
      const { url } = await testDatabase();
      const log = new MemoryLog();
      const accepts = Array.from({ length: MESSAGES }, (_, index) =>
        accepted({
          tenant: `t${index % 50}`,
          conversation: `c${index % 2_000}`,
          contact: `+9665${String(index % 2_000).padStart(8, '0')}`,
          atMs: BASE_MS + index,
        }),
      );
      const sends = accepts.map(({ messageId }) => sent(messageId, `wamid.${messageId}`));
      const together = accepts.flatMap((event, index) => [event, sends[index] ?? event]);
      const statuses = accepts.flatMap(({ messageId }) => [
        status(`wamid.${messageId}`, 'delivered', BASE_MS),
        status(`wamid.${messageId}`, 'read', BASE_MS),
      ]);
      const events =
        shape === 'accepted and sent together'
          ? together
          : [...accepts, ...sends, ...(shape.endsWith('read') ? statuses : [])];
      log.append(...entriesOf(events));

      const durationsMs: number[] = [];
      const recorder = createRecorder({
        databaseUrl: url,
        log,
        onBatch: ({ durationMs }) => durationsMs.push(durationMs),
      });
      const startedMs = performance.now();
      recorder.start();
      expect(await recorder.caughtUp(120_000)).toBe(true);
      const perSecond = (events.length / (performance.now() - startedMs)) * 1_000;
      await recorder.stop();
      durationsMs.sort((a, b) => a - b);
      const median = durationsMs[durationsMs.length >> 1] ?? 0;
      console.info(`${shape}: ${perSecond.toFixed(0)} events/s, batch p50 ${median.toFixed(0)} ms`);

      const [row] = await sql<{ count: number }>(url, 'select count(*)::integer as count from messages');
      expect(row?.count).toBe(MESSAGES);
      expect(perSecond).toBeGreaterThan(EVENTS_PER_SECOND_MIN);
    },
  );
});
