import * as sql from './failure-statements.ts';
import type { FailureStep } from './failure-step.ts';
import type { EngineStep } from './prepare.ts';
import type { DeliveryChange, Execute } from './execute.ts';

/** A message whose delivery has changed, as the derivation found it. */
export interface DerivedDelivery extends DeliveryChange {
  /** The status that people see now. */
  readonly shown: string;
  /** It has a failure row that is not resolved. */
  readonly has_failure: boolean;
}

type Row<K extends FailureStep['kind']> = { readonly id: string } & Extract<FailureStep, { kind: K }>;

/**
 * Keeps the failure record and the dead letters in step with what was written of the messages.
 * Runs last in the transaction; costs nothing for batches in which all goes well.
 * @param steps fresh ones only, in the order of the log
 * @returns how many messages had been sent and failed for good, as a status reported now
 */
export async function writeFailures(
  execute: Execute,
  steps: readonly EngineStep[],
  deliveries: readonly DerivedDelivery[],
): Promise<number> {
  const touched = new Set<string>();
  for (const round of roundsOf(steps)) {
    for (const { id } of round) touched.add(id);
    await writeRound(execute, round);
  }
  const reported = deliveries.filter(({ shown }) => shown === 'failed').map(({ id }) => id);
  const delivered = deliveries.filter(({ shown, has_failure: has }) => has && shown !== 'failed').map(({ id }) => id);
  const told = reported.length > 0 ? await execute<{ status: string }>(sql.insertReportedFailures, [reported]) : [];
  if (delivered.length > 0) await execute(sql.resolveDelivered, [delivered]);
  for (const id of [...reported, ...delivered]) touched.add(id);
  if (touched.size === 0) return 0;
  const ids = [...touched].sort();
  await execute(sql.forgetDeadLetters, [ids]);
  await execute(sql.insertDeadLetters, [ids]);
  return told.filter(({ status }) => status === 'FAILED').length;
}

/** The nth failure step of every message together: a statement changes a row once, and their order counts. */
function* roundsOf(steps: readonly EngineStep[]): Generator<{ readonly id: string; readonly step: FailureStep }[]> {
  const byMessage = new Map<string, FailureStep[]>();
  for (const { messageId, failure } of steps) {
    if (failure === null) continue;
    const list = byMessage.get(messageId);
    if (list === undefined) byMessage.set(messageId, [failure]);
    else list.push(failure);
  }
  for (let n = 0; ; n += 1) {
    const round = [...byMessage].flatMap(([id, list]) => {
      const step = list[n];
      return step === undefined ? [] : [{ id, step }];
    });
    if (round.length === 0) return;
    yield round;
  }
}

async function writeRound(
  execute: Execute,
  round: readonly { readonly id: string; readonly step: FailureStep }[],
): Promise<void> {
  const of = <K extends FailureStep['kind']>(kind: K) =>
    round.flatMap(({ id, step }) => (step.kind === kind ? [{ id, ...step } as Row<K>] : []));
  const failed = of('failed');
  const ended = of('ended');
  const redriven = of('redriven');
  if (failed.length > 0) {
    await execute(
      sql.upsertFailures,
      sql.failedRows.parameters(
        failed.map((row) => ({
          id: row.id,
          status: row.status,
          at: row.at,
          attempt_count: row.attemptCount,
          error_code: row.errorCode,
          error_message: row.errorMessage,
          next_retry_at: row.nextRetryAt,
          metadata: row.metadata,
        })),
      ),
    );
  }
  if (ended.length > 0) {
    await execute(
      sql.endFailures,
      sql.endedRows.parameters(
        ended.map((row) => ({
          id: row.id,
          status: row.status,
          at: row.at,
          attempt_count: row.attemptCount,
          last_attempt_at: row.lastAttemptAt,
          metadata: row.metadata,
        })),
      ),
    );
  }
  if (redriven.length > 0) {
    await execute(
      sql.reopenFailures,
      sql.redrivenRows.parameters(
        redriven.map((row) => ({
          id: row.id,
          at: row.at,
          cause: row.cause,
          by_name: row.by,
          next_retry_at: row.nextRetryAt,
        })),
      ),
    );
  }
}
