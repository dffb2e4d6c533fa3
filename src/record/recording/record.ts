import pg from 'pg';
import type { EventEntry } from '../../model/events.ts';
import { isDataError } from '../sql-errors.ts';
import { flatten, positionOf, prepare, type LoggedEvent, type Position, type Step } from './prepare.ts';
import type { RecorderSession } from './session.ts';
import { storableText } from './storable.ts';
import { insertQuarantine, quarantineRows } from './statements.ts';
import { type ChangedThread, columns, type DeliveryChange, type Written, writeSteps } from './write.ts';

/** Bounds one transaction: its memory here, its locks there. A batch of large entries is several transactions. */
const EVENTS_PER_TRANSACTION = 2_000;

interface Refused {
  readonly position: Position;
  /** The event as it was, JSON; empty when the log itself could not read it. */
  readonly raw: string;
  /** In full, for the row: it may quote values. */
  readonly error: string;
  /** Without values, for the log file. */
  readonly reason: string;
}

export interface Outcome {
  readonly recorded: number;
  /** Why events were put aside, one sentence each; empty in all normal times. */
  readonly quarantined: readonly string[];
  /** Messages whose delivery changed, committed. */
  readonly deliveries: readonly DeliveryChange[];
  /** Messages that had been sent, of which a status reported for the first time that they failed for good. */
  readonly undelivered: number;
  /** Conversations whose messages changed, committed; one may be named twice. */
  readonly threads: readonly ChangedThread[];
}

/**
 * Records entries in the order of the log. An event that can never be recorded does not stop the others: it goes to
 * `recorder_quarantine` as it was.
 * @param mayRepeat as for `writeSteps()`
 * @throws the driver's error when the server is the reason; what was committed before it is safe to record again
 */
export async function record(
  session: RecorderSession,
  shard: number,
  entries: readonly EventEntry[],
  mayRepeat = false,
): Promise<Outcome> {
  const refused: Refused[] = entries.flatMap((entry) => damagedIn(shard, entry));
  const steps: Step[] = [];
  for (const logged of flatten(shard, entries)) {
    try {
      steps.push(prepare(logged));
    } catch (error) {
      refused.push(refusedEvent(logged, error));
    }
  }
  const prepared = steps.length;
  let isolated = 0;
  const written: Written[] = [];
  for (let start = 0; start < steps.length; start += EVENTS_PER_TRANSACTION) {
    const found = await writeOrIsolate(session, steps.slice(start, start + EVENTS_PER_TRANSACTION), written, mayRepeat);
    isolated += found.length;
    refused.push(...found);
  }
  if (refused.length > 0) await quarantine(session, refused);
  return {
    recorded: prepared - isolated,
    quarantined: refused.map(({ reason }) => reason),
    deliveries: written.flatMap(({ deliveries }) => deliveries),
    undelivered: written.reduce((sum, { undelivered }) => sum + undelivered, 0),
    threads: written.flatMap(({ threads }) => threads),
  };
}

/** What the log could not decode has no event to keep, but must not go unseen. Below zero no event has its index. */
function damagedIn(shard: number, entry: EventEntry): Refused[] {
  return (entry.damaged ?? []).map((error, index) => {
    const position = positionOf(shard, entry.id, -1 - index);
    return { position, raw: '', error, reason: `damaged event in ${placeOf(position)}` };
  });
}

/** Halves a refused batch until the refused events stand alone. The halves keep their order. */
async function writeOrIsolate(
  session: RecorderSession,
  steps: readonly Step[],
  written: Written[],
  mayRepeat: boolean,
): Promise<Refused[]> {
  try {
    let changed: Written | undefined;
    await session.transaction(async (execute) => {
      changed = await writeSteps(execute, steps, mayRepeat);
    });
    if (changed !== undefined) written.push(changed);
    return [];
  } catch (error) {
    const [only] = steps;
    if (!isDataError(error) || only === undefined) throw error;
    if (steps.length === 1) return [refusedEvent(only.logged, error)];
    const middle = Math.ceil(steps.length / 2);
    return [
      ...(await writeOrIsolate(session, steps.slice(0, middle), written, mayRepeat)),
      ...(await writeOrIsolate(session, steps.slice(middle), written, mayRepeat)),
    ];
  }
}

async function quarantine(session: RecorderSession, refused: readonly Refused[]): Promise<void> {
  await session.transaction(async (execute) => {
    await execute(
      insertQuarantine,
      quarantineRows.parameters(
        refused.map(({ position, raw, error }) => ({ ...columns(position), raw, error: storableText(error) })),
      ),
    );
  });
}

/** The reason names the kind of refusal only: error texts quote values, and these may be a person's. */
function refusedEvent({ position, event }: LoggedEvent, error: unknown): Refused {
  const kind =
    error instanceof pg.DatabaseError
      ? `SQLSTATE ${error.code ?? 'unknown'}`
      : error instanceof Error
        ? error.name
        : 'unknown error';
  return {
    position,
    raw: JSON.stringify(event),
    error: error instanceof Error ? error.message : String(error),
    reason: `${event.type} event in ${placeOf(position)} refused (${kind})`,
  };
}

function placeOf(position: Position): string {
  return `entry ${position.entryMs}-${position.entrySeq}, index ${position.entryIndex}, of shard ${position.shard}`;
}
