import pg from 'pg';
import { isDataError } from '../sql-errors.ts';
import { prepare, type LoggedEvent, type Step } from './prepare.ts';
import type { RecorderSession } from './session.ts';
import { storableText } from './storable.ts';
import { insertQuarantine, quarantineRows } from './statements.ts';
import { columns, writeSteps } from './write.ts';

/** Bounds one transaction: its memory here, its locks there. A batch of large entries is several transactions. */
const EVENTS_PER_TRANSACTION = 2_000;

interface Refused {
  readonly logged: LoggedEvent;
  readonly error: unknown;
}

/**
 * Records events in the order of the log. One that can never be recorded does not stop the others: it goes to
 * `recorder_quarantine` as it was.
 * @returns why events were quarantined, one sentence each; empty in all normal times
 * @throws the driver's error when the server is the reason; what was committed before it is safe to record again
 */
export async function record(session: RecorderSession, events: readonly LoggedEvent[]): Promise<string[]> {
  const refused: Refused[] = [];
  const steps: Step[] = [];
  for (const logged of events) {
    try {
      steps.push(prepare(logged));
    } catch (error) {
      refused.push({ logged, error });
    }
  }
  for (let start = 0; start < steps.length; start += EVENTS_PER_TRANSACTION) {
    refused.push(...(await writeOrIsolate(session, steps.slice(start, start + EVENTS_PER_TRANSACTION))));
  }
  if (refused.length > 0) await quarantine(session, refused);
  return refused.map(reasonOf);
}

/** Halves a refused batch until the refused events stand alone. The halves keep their order. */
async function writeOrIsolate(session: RecorderSession, steps: readonly Step[]): Promise<Refused[]> {
  try {
    await session.transaction((execute) => writeSteps(execute, steps));
    return [];
  } catch (error) {
    const [only] = steps;
    if (!isDataError(error) || only === undefined) throw error;
    if (steps.length === 1) return [{ logged: only.logged, error }];
    const middle = Math.ceil(steps.length / 2);
    return [
      ...(await writeOrIsolate(session, steps.slice(0, middle))),
      ...(await writeOrIsolate(session, steps.slice(middle))),
    ];
  }
}

async function quarantine(session: RecorderSession, refused: readonly Refused[]): Promise<void> {
  await session.transaction(async (execute) => {
    await execute(
      insertQuarantine,
      quarantineRows.parameters(
        refused.map(({ logged, error }) => ({
          ...columns(logged.position),
          raw: JSON.stringify(logged.event),
          error: storableText(error instanceof Error ? error.message : String(error)),
        })),
      ),
    );
  });
}

/** Says where the row is and what kind of refusal it was; error texts quote values, and these may be a person's. */
function reasonOf({ logged: { position, event }, error }: Refused): string {
  const kind = error instanceof pg.DatabaseError ? `SQLSTATE ${error.code ?? 'unknown'}` : (error as Error).name;
  return `${event.type} event ${position.entryMs}-${position.entrySeq}/${position.entryIndex} of shard ${position.shard} put aside (${kind})`;
}
