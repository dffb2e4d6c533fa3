import { newId } from '../../util/ids.ts';
import type { DeliveryChange, Execute } from './execute.ts';
import { fold, type Folded, type NewRow } from './fold.ts';
import type { EngineStep, Position, SenderStep, Step, StatusStep } from './prepare.ts';
import * as sql from './statements.ts';
import * as statusSql from './status-statements.ts';
import { writeFailures, type DerivedDelivery } from './write-failures.ts';

export type { DeliveryChange, Execute } from './execute.ts';

/** A conversation with a message that was added or changed. */
export interface ChangedThread {
  readonly tenant: string;
  readonly conversation: string;
}

export interface Written {
  /** Messages whose delivery became another one than it was. */
  readonly deliveries: readonly DeliveryChange[];
  /** Messages that had been sent, of which a status reported for the first time that they failed for good. */
  readonly undelivered: number;
  readonly threads: readonly ChangedThread[];
}

/**
 * Writes the steps, in the order of the log, with a statement per table. Must run inside a transaction.
 *
 * Recording a step twice changes nothing: an engine event that already has its row in the timeline takes no further
 * part, and statuses have a key of their own and are derived anew from all that is known of the message.
 * @param mayRepeat the steps may have been recorded by somebody who died before he told of it: `threads` has the
 *   conversations of all of them then
 */
export async function writeSteps(execute: Execute, steps: readonly Step[], mayRepeat = false): Promise<Written> {
  const engineSteps = steps.filter((step) => step.kind === 'engine');
  const statusSteps = steps.filter((step) => step.kind === 'status');
  const fresh = await writeTimeline(execute, engineSteps);
  const folded = fold(fresh);
  if (folded.inserts.length > 0) await writeMessages(execute, folded.inserts);
  const updated = folded.updates.length > 0 ? await updateMessages(execute, folded.updates) : [];
  if (folded.attempts.length > 0) {
    await execute(sql.insertAttempts, sql.attemptRows.parameters(folded.attempts));
  }
  await writeSenderEvents(
    execute,
    steps.filter((step) => step.kind === 'sender'),
  );
  const deliveries = await writeStatuses(execute, engineSteps, statusSteps);
  // What went past the queue was told to its caller when it failed; the queue has nothing to retry or to redrive.
  const queued = fresh.filter(({ logged: { position } }) => position.shard >= 0);
  const undelivered = await writeFailures(execute, queued, deliveries);
  const changed = deliveries.filter(({ status, was }) => status !== was);
  await tellStatuses(execute, fresh, changed);
  const told = mayRepeat ? await threadsOfRepeats(execute, engineSteps, statusSteps) : [];
  return { deliveries: changed, undelivered, threads: threadsOf(folded, [...updated, ...deliveries, ...told]) };
}

async function threadsOfRepeats(
  execute: Execute,
  engineSteps: readonly EngineStep[],
  statusSteps: readonly StatusStep[],
): Promise<ChangedThread[]> {
  const ids = new Set(engineSteps.map(({ messageId }) => messageId));
  const providerIds = new Set(statusSteps.map(({ providerMessageId }) => providerMessageId));
  return await execute<ChangedThread>(sql.threadsOfMessages, [[...ids], [...providerIds]]);
}

/** Ends of a message that its product hears of, as the engine says them. */
const TOLD_ENDS = new Set(['sent', 'failed', 'cancelled', 'expired']);

/** One event per change of what became of a message, in the transaction that records the change. */
async function tellStatuses(
  execute: Execute,
  fresh: readonly EngineStep[],
  changed: readonly DerivedDelivery[],
): Promise<void> {
  const news = new Map(changed.map(({ id, shown }) => [id, shown]));
  const rows = [
    ...fresh
      .filter(({ event }) => TOLD_ENDS.has(event))
      .map(({ messageId, event, at }) => ({
        message_id: messageId,
        type: event,
        at,
        is_news: event !== 'sent' || news.has(messageId),
      })),
    ...changed
      .filter(({ status, shown }) => status === shown && status !== 'sent')
      .map(({ id, shown }) => ({ message_id: id, type: shown, at: null, is_news: true })),
  ].map((row, ord) => ({ ...row, ord }));
  if (rows.length > 0) await execute(statusSql.tellStatuses, statusSql.toldRows.parameters(rows));
}

/** Conversations, each once, of which a message was added or changed. */
function threadsOf(folded: Folded, others: readonly ChangedThread[]) {
  const found = new Map<string, ChangedThread>();
  const all = [...folded.inserts.map(({ accepted }) => accepted), ...others];
  for (const { tenant, conversation } of all) found.set(`${tenant} ${conversation}`, { tenant, conversation });
  return [...found.values()];
}

async function writeSenderEvents(execute: Execute, steps: readonly SenderStep[]): Promise<void> {
  if (steps.length === 0) return;
  await execute(
    sql.insertSenderEvents,
    sql.senderEventRows.parameters(
      steps.map(({ logged, sender, at, event, detail }) => ({
        ...columns(logged.position),
        sender,
        at,
        event,
        detail,
      })),
    ),
  );
}

/** Appends to the timeline and returns the steps that were not there yet. */
async function writeTimeline(execute: Execute, steps: readonly EngineStep[]): Promise<readonly EngineStep[]> {
  if (steps.length === 0) return steps;
  const rows = await execute<{ entry_ms: number; entry_seq: number; entry_index: number }>(
    sql.insertEvents,
    sql.eventRows.parameters(
      steps.map((step) => ({
        ...columns(step.logged.position),
        message_id: step.messageId,
        at: step.at,
        event: step.event,
        detail: step.detail,
      })),
    ),
  );
  if (rows.length === steps.length) return steps;
  const inserted = new Set(rows.map((row) => `${row.entry_ms}-${row.entry_seq}-${row.entry_index}`));
  return steps.filter(({ logged: { position } }) =>
    inserted.has(`${position.entryMs}-${position.entrySeq}-${position.entryIndex}`),
  );
}

async function writeMessages(execute: Execute, inserts: readonly NewRow[]): Promise<void> {
  await execute(sql.insertTenants, [[...new Set(inserts.map(({ accepted }) => accepted.tenant))]]);
  await writeContacts(execute, inserts);
  await execute(
    sql.insertMessages,
    sql.messageRows.parameters(
      inserts.map(({ id, accepted, change, shard }) => ({
        id,
        ...accepted,
        alias_kind: accepted.aliasKind,
        seq: change.seq ?? accepted.seq,
        shard,
        engine_status: change.engineStatus,
        attempts: change.attempts ?? 0,
        provider_message_id: change.providerMessageId ?? null,
        error: change.error ?? null,
        sent_at: change.sentAt ?? null,
        failed_at: change.failedAt,
        held: change.held ?? false,
      })),
    ),
  );
}

/** Makes contacts for recipients that are not known yet, and ties the other names in the request to the same contact. */
async function writeContacts(execute: Execute, inserts: readonly NewRow[]): Promise<void> {
  const contacts = new Map<string, { id: string; tenant: string; kind: string; value: string }>();
  const others = new Map<string, Record<'tenant' | 'kind' | 'value' | 'other_kind' | 'other_value', string>>();
  for (const { accepted } of inserts) {
    const { tenant, aliasKind: kind, alias: value } = accepted;
    const key = JSON.stringify([tenant, kind, value]);
    if (!contacts.has(key)) contacts.set(key, { id: newId(), tenant, kind, value });
    const given = [
      ['e164', accepted.to_address],
      ['user_id', accepted.recipient],
    ] as const;
    for (const [otherKind, otherValue] of given) {
      if (otherValue === null || otherValue === value) continue;
      others.set(JSON.stringify([tenant, otherKind, otherValue]), {
        tenant,
        kind,
        value,
        other_kind: otherKind,
        other_value: otherValue,
      });
    }
  }
  await execute(sql.insertContacts, sql.contactRows.parameters([...contacts.values()]));
  if (others.size > 0) await execute(sql.insertOtherAliases, sql.otherAliasRows.parameters([...others.values()]));
}

async function updateMessages(execute: Execute, updates: Folded['updates']): Promise<ChangedThread[]> {
  return await execute<ChangedThread>(
    sql.updateMessages,
    sql.changeRows.parameters(
      updates.map(({ id, change }) => ({
        id,
        engine_status: change.engineStatus,
        attempts: change.attempts ?? 0,
        seq: change.seq ?? null,
        provider_message_id: change.providerMessageId ?? null,
        sent_at: change.sentAt ?? null,
        failed_at: change.failedAt,
        error_set: change.error !== undefined,
        error: change.error ?? null,
        held: change.held ?? false,
      })),
    ),
  );
}

/**
 * Ties provider ids to messages, keeps the statuses, and derives the delivery of every message they touch: also for
 * a status that came before its message's `sent`, in which case the `sent` finds it here.
 */
async function writeStatuses(
  execute: Execute,
  engineSteps: readonly EngineStep[],
  statusSteps: readonly StatusStep[],
): Promise<readonly DerivedDelivery[]> {
  const messageIds = new Map<string, string | null>();
  for (const { providerMessageId, messageId } of [...statusSteps, ...engineSteps]) {
    if (providerMessageId === null) continue;
    messageIds.set(providerMessageId, messageId ?? messageIds.get(providerMessageId) ?? null);
  }
  if (messageIds.size === 0) return [];
  const providerIds = [...messageIds.keys()];
  await execute(sql.insertProviderMessages, [providerIds, [...messageIds.values()]]);
  if (statusSteps.length > 0) {
    await execute(
      statusSql.insertStatuses,
      statusSql.statusRows.parameters(
        statusSteps.map((step) => ({
          provider_message_id: step.providerMessageId,
          status: step.status,
          provider_at: step.providerAt,
          error: step.error,
          later_retry: step.laterRetry,
          is_time_ours: step.isTimeOurs,
          more: step.more,
        })),
      ),
    );
  }
  await execute(statusSql.matchStatuses, [providerIds]);
  return await execute<DerivedDelivery>(statusSql.deriveDeliveries, [providerIds]);
}

export function columns(position: Position): Record<'shard' | 'entry_ms' | 'entry_seq' | 'entry_index', number> {
  return {
    shard: position.shard,
    entry_ms: position.entryMs,
    entry_seq: position.entrySeq,
    entry_index: position.entryIndex,
  };
}
