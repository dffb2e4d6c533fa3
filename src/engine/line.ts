import type { Hold, HoldKind } from '../model/message.ts';
import type { TenantRecord } from './tenant-record.ts';

/** As `Place` has it. */
type Status = 'queued' | 'scheduled' | 'sending' | 'deferred' | 'unknown' | 'failed';

/** Where a message stands, with what stands before it: for an explanation, so a moment old when it is read. */
export interface Line {
  /** `held`: ambiguous twice or by policy, waits for a person. */
  readonly status: Status | 'held';
  readonly hold: Hold | null;
  /** Milliseconds until the hold, or the wait of an unknown outcome, ends by itself; null = an event must end it. */
  readonly waitMs: number | null;
  readonly attempts: number;
  /** Its place among the messages of its conversation; null when it stands outside it (scheduled, deferred, held). */
  readonly inConversation: InConversation | null;
}

export interface InConversation {
  /** Messages before it. */
  readonly before: number;
  /** Messages in all, itself included. */
  readonly messages: number;
  /** What the first message of the conversation does; it is this one when there is none before it. */
  readonly head: { readonly status: Status; readonly hold: HoldKind | null; readonly waitMs: number | null };
  /** Conversations of the tenant on this sender that take their turn before it. */
  readonly conversationsBefore: number;
  /** Conversations of the tenant with the same or a higher priority that could go now. */
  readonly conversations: number;
  readonly pair: {
    /** Conversations that wait for the same pair before this one. */
    readonly before: number;
    /** Milliseconds until the pair is open; null while an attempt keeps it. */
    readonly freeInMs: number | null;
    /** By how much the pair's bucket has been used ahead of time, ms. */
    readonly aheadMs: number;
  };
}

export interface SenderLook {
  /** Now: less than configured while the provider slows it down; 0 = no limit. */
  readonly ratePerSecond: number;
  readonly ratePerSecondMax: number;
  readonly burst: number;
  readonly concurrency: number;
  readonly inFlight: number;
  readonly pairGapMs: number;
  /** 0 = no bucket. */
  readonly pairBucketCapacity: number;
  readonly pairMsPerToken: number;
  /** Null = it goes. */
  readonly pausedReason: string | null;
  /** Hand-overs of its shard are stopped. */
  readonly isShardPaused: boolean;
  /** Milliseconds until its circuit lets a probe through; null = closed. */
  readonly circuitMs: number | null;
  /** Until its rate lets the next message go, as far as it was asked. */
  readonly rateWaitMs: number;
  /** By how much its token bucket has been used ahead of time. */
  readonly rateAheadMs: number;
  /** Workers of its shard whose heart was heard, and the messages that they could have in work at once. */
  readonly workers: number;
  readonly slots: number;
  /** The tenant that was asked for; null = it has nothing here. */
  readonly tenant: TenantRecord | null;
  readonly tenantsInAll: number;
  /** Other tenants: all of them, or 256 chosen by chance. */
  readonly others: readonly TenantRecord[];
}

const orNull = (ms: unknown): number | null => (Number(ms) < 0 ? null : Number(ms));

export function decodeLine(reply: unknown[]): Line | null {
  if (reply.length === 0) return null;
  const [status, kind, ms, attempts, before, ...rest] = reply as [Line['status'], HoldKind | '', ...number[]];
  const waitMs = orNull(ms);
  const hold = kind === '' ? null : { kind, untilMs: waitMs === null ? null : Date.now() + waitMs };
  const line = { status, hold, waitMs, attempts: Number(attempts) };
  if (rest.length === 0) return { ...line, inConversation: null };
  const [headStatus, headKind, headMs, linesBefore, lines, messages, pairBefore, pairMs, pairAheadMs] = rest as [
    ...[unknown, unknown, unknown],
    ...number[],
  ];
  return {
    ...line,
    inConversation: {
      before: Number(before),
      messages: Number(messages),
      head: {
        status: headStatus as Status,
        hold: headKind === '' ? null : (headKind as HoldKind),
        waitMs: orNull(headMs),
      },
      conversationsBefore: Number(linesBefore),
      conversations: Number(lines),
      pair: { before: Number(pairBefore), freeInMs: orNull(pairMs), aheadMs: Number(pairAheadMs) },
    },
  };
}

export function decodeLook(reply: unknown[], tenant: string): SenderLook | null {
  if (reply.length === 0) return null;
  const flat = reply[17] as string[];
  const others: TenantRecord[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) if (flat[i] !== tenant) others.push(readTenant(flat[i + 1] ?? ''));
  const number = (index: number) => Number(reply[index]);
  const text = (index: number) => (reply[index] === '' ? null : String(reply[index]));
  const own = text(15);
  return {
    ratePerSecond: number(0),
    ratePerSecondMax: number(1),
    burst: number(2),
    concurrency: number(3),
    inFlight: number(4),
    pairGapMs: number(5),
    pairBucketCapacity: number(6),
    pairMsPerToken: number(7),
    pausedReason: text(8),
    isShardPaused: number(9) === 1,
    circuitMs: orNull(reply[10]),
    rateWaitMs: number(11),
    rateAheadMs: number(12),
    workers: number(13),
    slots: number(14),
    tenant: own === null ? null : readTenant(own),
    tenantsInAll: number(16),
    others,
  };
}

function readTenant(text: string): TenantRecord {
  const [inFlight = 0, ready = 0, paused, concurrency = 1, weight = 1, backlog = 0, parked = 0] = text
    .split('|')
    .map(Number);
  return { inFlight, ready, isPaused: paused === 1, concurrency, weight, backlog, parked };
}
