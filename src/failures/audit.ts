import { setTimeout as delay } from 'node:timers/promises';
import type { WaitingRetry } from '../engine/retry-desk.ts';
import { bringBack, type BringBackPorts } from './bring-back.ts';
import { targetOf } from './returning.ts';

/** What one audit found and put right. */
export interface AuditReport {
  /** Pending in the table, and the queue had lost it: taken in again. */
  readonly returned: number;
  /** The queue waited to send what the record knows to be sent: let go. */
  readonly letGo: number;
  /** The table had another time than the queue. */
  readonly timesCorrected: number;
  /** False: the recorder was behind, so nothing was compared. */
  readonly compared: boolean;
}

export interface AuditPorts extends BringBackPorts {
  /** How long the audit waits for the recorder to catch up, ms. */
  readonly catchUpMs: number;
  /** Nobody waits for the audit any more. */
  readonly isStopping: () => boolean;
}

const PAGE = 500;
/** A row younger than this may be about to change: the next audit looks at it. */
const SETTLED_FOR_MS = 2000;

/** Compares table and queue, and repairs where they differ, which only a lost or restored server can make happen. */
export async function auditFailures(ports: AuditPorts): Promise<AuditReport> {
  const { record, retries } = ports;
  // What seems lost is looked at again once the recorder has written all that happened until then.
  const suspects = await suspectIds(ports);
  const waiting: WaitingRetry[] = [];
  for await (const part of retries.waiting()) waiting.push(...part);
  if (!(await recorderCaughtUp(ports))) return { returned: 0, letGo: 0, timesCorrected: 0, compared: false };
  let returned = 0;
  for (const id of suspects) if ((await isLost(ports, id)) && (await returnLost(ports, id))) returned += 1;
  let letGo = 0;
  let timesCorrected = 0;
  for (let from = 0; from < waiting.length; from += PAGE) {
    const part = waiting.slice(from, from + PAGE);
    for (const id of await record.failures.settledAmong(part.map((one) => one.id))) {
      if (await releaseSettled(ports, id)) letGo += 1;
    }
    timesCorrected += await record.failures.correctTimes(part);
  }
  return { returned, letGo, timesCorrected, compared: true };
}

/** Pending in the table, and not among what the queue keeps for a slow retry. */
async function suspectIds({ record, retries }: AuditPorts): Promise<string[]> {
  const suspects: string[] = [];
  let after: string | null = null;
  for (;;) {
    const rows = await record.failures.pendingAfter(after, PAGE);
    const last = rows.at(-1);
    if (last === undefined) return suspects;
    after = last.id;
    for (const shard of new Set(rows.map((row) => row.shard))) {
      const ids = rows.filter((row) => row.shard === shard).map(({ id }) => id);
      const parked = await retries.parked(shard, ids);
      suspects.push(...ids.filter((id) => !parked.has(id)));
    }
  }
}

/**
 * Waits until everything that the queue told before now is recorded. Without that a message that was sent this moment
 * would look like one that the queue has lost.
 */
async function recorderCaughtUp({ retries, catchUpMs, isStopping, now }: AuditPorts): Promise<boolean> {
  const sinceMs = now();
  const deadlineMs = performance.now() + catchUpMs;
  for (let shard = 0; shard < retries.shards; shard += 1) {
    for (;;) {
      const oldestMs = await retries.oldestEventMs(shard);
      if (oldestMs === null || oldestMs > sinceMs) break;
      if (performance.now() > deadlineMs || isStopping()) return false;
      await delay(100);
    }
  }
  return true;
}

async function isLost({ record, retries, now }: AuditPorts, id: string): Promise<boolean> {
  const failure = await record.failures.get(id);
  if (failure?.status !== 'PENDING' || failure.metadata['source'] === 'report') return false;
  if (failure.updatedAtMs > now() - SETTLED_FOR_MS) return false;
  const message = await record.messages.find(null, id);
  // In any other state than deferred the queue has it, or had it last, elsewhere than on the slow schedule.
  if (message?.engineStatus !== 'deferred') return false;
  return !(await retries.isHeld(targetOf(message), message.seq));
}

async function returnLost(ports: AuditPorts, id: string): Promise<boolean> {
  const failure = await ports.record.failures.get(id);
  return failure !== null && (await bringBack(ports, failure, 'lost'));
}

async function releaseSettled({ record, retries }: AuditPorts, id: string): Promise<boolean> {
  const message = await record.messages.find(null, id);
  return message !== null && (await retries.settled(targetOf(message))) === 'done';
}
