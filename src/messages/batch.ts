import { setImmediate as nextTurn } from 'node:timers/promises';
import { UnknownSenderError, type AcceptResult } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import { conclude, type Accepted, type ConcludePorts } from './conclude.ts';
import { draftMessage, type Draft, type DraftPorts } from './draft.ts';
import type { Principal } from './principal.ts';
import { batchItemSchema, parseRequest } from './request.ts';
import { submit, type SubmitPorts } from './submit.ts';

export type BatchResult = Accepted | AppError;

export interface BatchOptions {
  /** Counts for each item without a key of its own, together with its place: the same list again is stored once. */
  readonly idempotencyKey?: string | undefined;
}

/** Items validated in one go; other requests get their turn in between. */
const ITEMS_PER_TURN = 50;

/** A draft and the engine's answer; null = it did not know the sender. */
interface Answered {
  readonly draft: Draft;
  readonly result: AcceptResult | null;
}

/**
 * Stores many; the failure of one changes nothing for the others. Items of one conversation keep their order.
 * @param items unchecked: each is validated by itself
 * @returns one result per item, in order
 */
export async function acceptBatch(
  ports: DraftPorts & SubmitPorts & ConcludePorts,
  items: readonly unknown[],
  principal: Principal,
  options: BatchOptions = {},
): Promise<BatchResult[]> {
  const drafts: (Draft | AppError)[] = [];
  for (let from = 0; from < items.length; from += ITEMS_PER_TURN) {
    if (from > 0) await nextTurn();
    const part = items.slice(from, from + ITEMS_PER_TURN);
    drafts.push(...(await settled(part.map((item, at) => draftItem(ports, item, from + at, principal, options)))));
  }
  // All calls are made in this one tick, in order: the engine joins them and keeps the order of the calls.
  const answers = await settled(drafts.map((draft) => ask(ports, draft)));
  const results: BatchResult[] = [];
  for (const answer of answers) {
    if (answer instanceof AppError) results.push(answer);
    // One after the other: those that must be repeated keep their order too.
    else results.push(...(await settled([concludeItem(ports, answer, principal)])));
  }
  return results;
}

async function draftItem(
  ports: DraftPorts & SubmitPorts,
  item: unknown,
  index: number,
  principal: Principal,
  { idempotencyKey: keyOfAll }: BatchOptions,
): Promise<Draft> {
  try {
    const { idempotencyKey = keyAt(keyOfAll, index), ...request } = parseRequest(batchItemSchema, item);
    const draft = await draftMessage(ports, request, principal, { idempotencyKey });
    await ports.senders.prepare(draft.sender, draft.tenant);
    return draft;
  } catch (error) {
    throw ofItem(error, `messages[${index}]`);
  }
}

/** No key of a caller's own has a space. */
function keyAt(keyOfAll: string | undefined, index: number): string | undefined {
  return keyOfAll === undefined ? undefined : `${keyOfAll} ${index}`;
}

/** Makes the engine's call before it returns. @throws the fault of an item that never became a draft */
async function ask({ queue }: SubmitPorts, draft: Draft | AppError): Promise<Answered> {
  if (draft instanceof AppError) throw draft;
  try {
    return { draft, result: await queue.accept(draft.message) };
  } catch (error) {
    if (error instanceof UnknownSenderError) return { draft, result: null };
    throw error;
  }
}

async function concludeItem(
  ports: SubmitPorts & ConcludePorts,
  { draft, result }: Answered,
  principal: Principal,
): Promise<Accepted> {
  return await conclude(ports, draft, result ?? (await submit(ports, draft)), principal);
}

/** Waits for all; operating errors become values, anything else is a bug and is thrown. */
async function settled<T>(promises: readonly Promise<T>[]): Promise<(T | AppError)[]> {
  const results = await Promise.allSettled(promises);
  return results.map((result) => {
    if (result.status === 'fulfilled') return result.value;
    const reason: unknown = result.reason;
    if (reason instanceof AppError) return reason;
    throw reason;
  });
}

/** The fault of an item, with the field's path from the top of the batch. */
function ofItem(error: unknown, item: string): unknown {
  if (!(error instanceof AppError) || (error.field === undefined && error.status >= 500)) return error;
  const { code, detail, retryAfterSeconds, field } = error;
  return new AppError(code, {
    detail,
    field: field === undefined ? item : `${item}${field.startsWith('[') ? '' : '.'}${field}`,
    cause: error,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
