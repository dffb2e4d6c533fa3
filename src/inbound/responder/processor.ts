import { AppError, hasCode } from '../../errors/app-error.ts';
import { JobImpossible, JobLater, type JobContext, type RespondJobData } from '../../jobs/index.ts';
import type { Messages } from '../../messages/index.ts';
import type { Principal } from '../../messages/principal.ts';
import { messageRequestSchema, parseRequest } from '../../messages/request.ts';
import { GuardedFetchError } from '../../util/guarded-fetch/index.ts';
import type { Ask } from './ask.ts';
import { type HistoryItem, type Reply, ResponderError, type RespondRequest } from './contract.ts';
import type { History } from './history.ts';
import type { Turns } from './turns.ts';

export interface RespondOptions {
  readonly ask: Ask;
  readonly turns: Turns;
  readonly history: History;
  readonly messages: Pick<Messages, 'accept' | 'draft'>;
  /** From the cache: a name costs no query. */
  readonly tenantOf: (id: string) => Promise<{ readonly id: string; readonly name: string }>;
  /** State of a job, to pass over one that is gone. */
  readonly isWaiting: (jobId: string) => Promise<boolean>;
  /** Lets a job that waits for its turn run now. */
  readonly hurry: (jobId: string) => Promise<void>;
  /** RESPONDER_FALLBACK_TEXT and RESPONDER_ACK_TEXT. */
  readonly fallbackText: string | undefined;
  readonly ackText: string | undefined;
  /** RESPONDER_MAX_AGE_SECONDS, in ms. */
  readonly maxAgeMs: number;
  readonly now?: () => number;
  /** `reason` says why there was no answer, without texts and numbers of people. */
  readonly onOutcome?: (outcome: RespondOutcome, ms: number, reason?: string) => void;
}

export type RespondOutcome = 'answered' | 'silent' | 'fallback' | 'too-old' | 'failed';

/** What the job says it did; without texts and numbers of people. */
export interface RespondResult {
  readonly outcome: RespondOutcome;
  readonly messages: readonly string[];
}

interface Responded {
  readonly outcome: RespondOutcome;
  readonly sent: readonly HistoryItem[];
  /** Why it was the fallback text. */
  readonly fault?: unknown;
}

export type RespondProcessor = (
  job: Pick<JobContext<RespondJobData>, 'id' | 'data' | 'attempt' | 'attemptsMax' | 'log'>,
) => Promise<RespondResult>;

/** Somebody waits for the answer: before broadcasts, and behind nothing but what the product calls more urgent. */
const REPLY_PRIORITY = 9;
/** A job whose turn it is not is woken by the one before it; this is for the moment in which the two miss each other. */
const TURN_MS = 500;

/**
 * Answers an incoming message. Safe to run twice: every reply has an idempotency key made of the incoming message's id
 * and its place, so a second run adds only what the first one did not get to.
 */
export function createRespondProcessor(options: RespondOptions): RespondProcessor {
  const { ask, turns, history, messages } = options;
  const now = options.now ?? Date.now;

  async function waitForTurn({ message }: RespondJobData): Promise<void> {
    for (let first = await turns.first(message); first !== null && first !== message.id;) {
      if (await options.isWaiting(first)) throw new JobLater(now() + TURN_MS);
      // Its job was removed or has ended without leaving the line.
      first = await turns.leave({ ...message, id: first });
    }
  }

  async function passOn(data: RespondJobData): Promise<void> {
    const next = await turns.leave(data.message);
    if (next !== null) await options.hurry(next);
  }

  function accepting(data: RespondJobData, reply: Reply, place: string) {
    const { id, tenant, sender, conversation } = data.message;
    const request = parseRequest(messageRequestSchema, {
      priority: REPLY_PRIORITY,
      ...reply,
      tenant,
      sender,
      conversation,
      ...addressOf(data),
    });
    const principal: Principal = { kind: 'tenant', tenant };
    return [request, principal, { idempotencyKey: `reply/${id}/${place}` }] as const;
  }

  /** Before the first one goes: a person who got half an answer must not get the fallback text behind it. */
  async function check(data: RespondJobData, replies: readonly Reply[]): Promise<void> {
    for (const [index, reply] of replies.entries()) await messages.draft(...accepting(data, reply, String(index)));
  }

  async function send(data: RespondJobData, reply: Reply, place: string): Promise<HistoryItem | null> {
    const [request, principal, named] = accepting(data, reply, place);
    try {
      const accepted = await messages.accept(request, principal, named);
      const { id, type, createdAt } = accepted.message;
      return { [type]: (request as Record<string, unknown>)[type], id, direction: 'outbound', type, at: createdAt };
    } catch (error) {
      // An earlier run of this job said something else in this place: that one stands.
      if (hasCode(error, 'IDEMPOTENCY_KEY_REUSED')) return null;
      throw error;
    }
  }

  async function respond(data: RespondJobData): Promise<Responded> {
    const { message } = data;
    const sent: HistoryItem[] = [];
    const say = async (reply: Reply, place: string) => {
      const item = await send(data, reply, place);
      if (item !== null) sent.push(item);
    };
    if (options.ackText !== undefined) await say(textOf(options.ackText), 'ack');
    try {
      const place = { tenant: message.tenant, sender: message.sender, conversation: message.conversation };
      const [tenant, before] = await Promise.all([options.tenantOf(message.tenant), history.before(place, message.id)]);
      // The responder is another program: it gets what the docs name, and not the row behind it.
      const { id, name } = tenant;
      const replies = await ask({ tenant: { id, name }, ...requestOf(data), history: before });
      await check(data, replies);
      for (const [index, reply] of replies.entries()) await say(reply, String(index));
      return { outcome: replies.length === 0 ? 'silent' : 'answered', sent };
    } catch (error) {
      // The queue is away or full: the replies are good, and the job comes again with them.
      if (error instanceof AppError && error.retryable) throw error;
      if (options.fallbackText === undefined) throw error;
      await say(textOf(options.fallbackText), 'fallback');
      return { outcome: 'fallback', sent, fault: error };
    }
  }

  return async ({ data, attempt, attemptsMax, log }) => {
    const startedAtMs = now();
    await waitForTurn(data);
    const done = async (outcome: RespondOutcome, sent: readonly HistoryItem[], fault?: unknown) => {
      options.onOutcome?.(outcome, now() - startedAtMs, fault === undefined ? undefined : reasonOf(fault));
      await passOn(data);
      return { outcome, messages: sent.map(({ id }) => id) };
    };
    if (now() - data.message.providerAtMs > options.maxAgeMs) return await done('too-old', []);
    try {
      const { outcome, sent, fault } = await respond(data);
      if (fault !== undefined) await log(`the responder failed: ${reasonOf(fault)}`);
      const { tenant, sender, conversation } = data.message;
      await history.add({ tenant, sender, conversation }, [asked(data), ...sent]);
      return await done(outcome, sent, fault);
    } catch (error) {
      await log(`not answered: ${reasonOf(error)}`);
      if (isFinal(error) || attempt >= attemptsMax) await done('failed', [], error);
      throw error;
    }
  };
}

function isFinal(error: unknown): boolean {
  return error instanceof JobImpossible || (error instanceof AppError && !error.retryable && error.status < 500);
}

/** Written by `responderHooks`, so it has the shape that it had there. */
function requestOf({ request }: RespondJobData): RespondRequest {
  return request as unknown as RespondRequest;
}

function asked(data: RespondJobData): HistoryItem {
  const { message } = requestOf(data);
  const { id, type, receivedAt } = message;
  return { [type]: message[type], id, direction: 'inbound', type, at: receivedAt };
}

function textOf(body: string): Reply {
  return { type: 'text', text: { body } };
}

function addressOf(data: RespondJobData): { to: string } | { recipient: string } {
  const { contact } = requestOf(data);
  if (contact.phone !== null) return { to: contact.phone };
  if (contact.userId !== null) return { recipient: contact.userId };
  throw new JobImpossible('The provider named nobody to whom an answer could go.');
}

/** Our own words for what a responder or its connection did; of other faults the kind, because words may quote what a person wrote. */
function reasonOf(error: unknown): string {
  if (error instanceof ResponderError || error instanceof GuardedFetchError) return error.message;
  if (error instanceof AppError) return error.code;
  return error instanceof Error ? error.name : 'unknown error';
}
