import type { BadHealth, Grant, Settlement } from '../engine/contract.ts';
import type { AttemptReport } from '../model/events.ts';
import type { MessageBody, MessageError } from '../model/message.ts';
import {
  PROVIDER_ERROR_CODES,
  type MessageProvider,
  type ProviderOutcome,
  type ProviderSend,
  type SenderAccount,
} from '../providers/contract.ts';
import { ambiguous } from '../providers/outcomes.ts';
import { makeTag, type TagKey } from '../providers/tag.ts';
import { inSpanOf, traceparentOf } from '../util/traces.ts';
import { decide, type RetryPolicy } from './policy.ts';
import type { Windows } from './windows.ts';

/** One attempt, from the marked hand-over to what is to be settled. */
export interface AttemptContext {
  readonly worker: string;
  readonly account: SenderAccount;
  readonly provider: MessageProvider;
  readonly policy: RetryPolicy;
  readonly tagKey: TagKey;
  /** Monotonic time (ms) after which no first byte may leave: the rate token would be too old. */
  readonly startByAtMs: number;
  /** The wall clock by which messages expire, epoch ms. Default: this machine's. */
  readonly wallMs?: (() => number) | undefined;
  readonly signal: AbortSignal;
  /** ON_WINDOW_CLOSED=fail: free-form messages to a person whose window is known to be over fail unsent. */
  readonly windows?: Windows | undefined;
  /** What the outcome says of the sender's health at its provider; undefined: nothing bad. */
  readonly judge: (account: SenderAccount, outcome: ProviderOutcome) => BadHealth | undefined;
  /** Hears of a mistake of the program itself over a message. Must not throw. */
  readonly onBroken?: ((grant: Grant, error: unknown) => void) | undefined;
}

export interface AttemptResult {
  readonly settlement: Settlement;
  readonly report: AttemptReport | null;
  readonly badHealth?: BadHealth | undefined;
}

const DAMAGED: MessageError = {
  code: 'MESSAGE_DAMAGED',
  providerCode: null,
  title: 'The stored message does not match its checksum',
  detail: 'It was not sent. Send the message again; the storage of the queue should be checked.',
  retryable: false,
};

const WINDOW_CLOSED: MessageError = {
  code: 'WINDOW_CLOSED',
  providerCode: null,
  title: "The person's 24-hour window is closed",
  detail: 'Nothing was sent. Send a template, which may go at any time.',
  retryable: false,
};

export async function attempt(grant: Grant, context: AttemptContext): Promise<AttemptResult> {
  if (grant.body === null) return { settlement: { kind: 'failed', error: DAMAGED }, report: null };
  const { account, provider, worker } = context;
  const start = { refused: false, allowed: false };
  const mayStart = () => {
    const isExpired = grant.expiresAtMs !== null && grant.expiresAtMs <= (context.wallMs ?? Date.now)();
    start.refused = performance.now() > context.startByAtMs || isExpired;
    start.allowed = !start.refused;
    return start.allowed;
  };
  const startedAtMs = Date.now();
  const body = JSON.parse(grant.body) as MessageBody;
  if ((await context.windows?.forbids(account, grant, body)) === true) {
    return { settlement: { kind: 'failed', error: WINDOW_CLOSED }, report: null };
  }
  const outcome = await inSpanOf(body.traceparent, 'send to provider', spanAttributes(grant), async (span) => {
    const traceparent = span?.isRecording() === true ? traceparentOf(span.spanContext()) : undefined;
    const { messageId, entry } = grant;
    const tag = { messageId, attempt: grant.attempt, entry, ...(traceparent === undefined ? {} : { traceparent }) };
    const request: ProviderSend = {
      account,
      messageId,
      attempt: grant.attempt,
      body,
      tag: makeTag(tag, context.tagKey),
      signal: context.signal,
      beforeFirstByte: mayStart,
    };
    let said: ProviderOutcome;
    try {
      said = await provider.send(request);
    } catch (error) {
      // A mistake of ours over one message must not take the process along, and with it all that is in flight.
      context.onBroken?.(grant, error);
      said = broken(error, start.allowed);
    }
    span?.setAttributes({ 'waxwing.outcome': said.kind, ...providerCodeOf(said) });
    return said;
  });
  const wasAborted = context.signal.aborted && outcome.kind === 'not-sent';
  if (start.refused || wasAborted) return { settlement: { kind: 'unstarted' }, report: null };
  const endedAtMs = Date.now();
  const report: AttemptReport = {
    attempt: grant.attempt,
    worker,
    startedAtMs,
    endedAtMs,
    outcome: outcome.kind,
    ...statusOf(outcome),
    ...(outcome.kind === 'sent' ? {} : { error: outcome.error }),
  };
  return {
    settlement: decide(outcome, { ...grant, template: body.template }, context.policy),
    report,
    badHealth: context.judge(account, outcome),
  };
}

/** What a mistake of the program means for the message. Its name only: what it says could hold the person's words. */
function broken(error: unknown, hadLeft: boolean): ProviderOutcome {
  const name = error instanceof Error ? error.name : typeof error;
  if (hadLeft) return ambiguous(`The program failed over the attempt (${name}).`);
  return {
    kind: 'not-sent',
    error: {
      code: 'SEND_BROKE',
      providerCode: null,
      title: PROVIDER_ERROR_CODES.SEND_BROKE,
      detail: `The program failed over this message (${name}). Nothing was sent; the log has the place.`,
      retryable: true,
    },
  };
}

/** Ids and words only: no address and no text of a person. */
function spanAttributes(grant: Grant) {
  return {
    'waxwing.message.id': grant.messageId,
    'waxwing.tenant': grant.lane.tenant,
    'waxwing.sender': grant.lane.sender,
    'waxwing.attempt': grant.attempt,
  };
}

function providerCodeOf(outcome: ProviderOutcome): { 'waxwing.provider.code'?: string } {
  if (outcome.kind === 'sent' || outcome.error.providerCode === null) return {};
  return { 'waxwing.provider.code': outcome.error.providerCode };
}

function statusOf(outcome: ProviderOutcome): { httpStatus?: number } {
  if (outcome.kind === 'not-sent' || outcome.httpStatus === undefined) return {};
  return { httpStatus: outcome.httpStatus };
}
