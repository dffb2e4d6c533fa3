import type { InConversation, Line, SenderLook } from '../engine/line.ts';
import type { HoldKind, MessageStatus } from '../model/message.ts';
import { follow } from './pace.ts';
import { demandsOf, supplyOf } from './supply.ts';
import { endOf, sentenceOf } from './explain-sentence.ts';
import type { Expected, Situation } from './situation.ts';
import { holdView, isoOrNull, type MessageView } from './view.ts';

/** Why a message is where it is, for people and as data. Times are ISO 8601 UTC. */
export interface Explanation {
  readonly id: string;
  readonly status: MessageStatus;
  readonly hold: { readonly kind: HoldKind; readonly until: string | null } | null;
  /** What ends the hold, as a clause; null without a hold. */
  readonly endsWhen: string | null;
  readonly sentence: string;
  /** Its place in its conversation, from 1; null when it does not stand in one. */
  readonly position: number | null;
  /** Messages that will probably go before it: of its conversation, of its tenant's others, of the sender's others. */
  readonly ahead: { readonly conversation: number; readonly tenant: number; readonly sender: number };
  /** When it will probably be sent; null when that hangs on something that nobody can foresee, and after its end. */
  readonly expectedAt: string | null;
}

const NOTHING = { conversation: 0, tenant: 0, sender: 0 } as const;

/** A message that the engine no longer holds: it has ended, or was never there. */
export function explainEnded(view: MessageView): Explanation {
  const { id, status } = view;
  return {
    id,
    status,
    hold: null,
    endsWhen: null,
    sentence: endOf(view),
    position: null,
    ahead: NOTHING,
    expectedAt: null,
  };
}

export function explainWaiting(situation: Situation): Explanation {
  const { view, line, nowMs } = situation;
  const expected = expect(situation);
  const { inMs } = expected;
  const { sentence, endsWhen } = sentenceOf(situation, expected);
  return {
    id: view.id,
    status: line.status === 'held' ? 'unknown' : line.status,
    hold: holdView(line.hold, view.sendAt === null ? null : Date.parse(view.sendAt)),
    endsWhen,
    sentence,
    position: line.inConversation === null ? null : line.inConversation.before + 1,
    ahead: { conversation: expected.conversation, tenant: expected.tenant, sender: expected.others },
    expectedAt: isoOrNull(inMs === null ? null : nowMs + inMs),
  };
}

function expect({ line, sender, time }: Situation): Expected {
  const { inConversation: place, status } = line;
  const none = { conversation: place?.before ?? 0, tenant: 0, others: 0, inMs: null };
  if (status === 'sending' || status === 'held' || status === 'unknown') return none;
  const ahead = aheadInTenant(line, sender);
  const supply = supplyOf(sender, time);
  const own = sender.tenant ?? { weight: 1, concurrency: 1, inFlight: 0 };
  // Free places are taken at once; only what finds none must wait for one that ends.
  const free = Math.max(0, Math.min(own.concurrency - own.inFlight, supply.places - sender.inFlight));
  const before = ahead.conversation + ahead.tenant;
  const course = follow(before, { weight: own.weight, places: own.concurrency }, demandsOf(sender), supply);
  const turn = before + course.others;
  const byPlaces =
    turn < free ? 0 : Math.max(course.ms - (free * supply.placeMs) / supply.places, supply.placeMs / supply.places);
  const byRate =
    supply.ratePerSecond === 0 ? 0 : Math.max(0, ((turn + 1 - supply.tokens) * 1000) / supply.ratePerSecond);
  const counts = { ...ahead, others: course.others };
  if (isStopped(sender) || isTemplateStopped(line)) return { ...counts, inMs: null };
  const inMs = Math.max(
    byPlaces,
    byRate,
    sender.rateWaitMs,
    sender.circuitMs ?? 0,
    place === null ? (line.waitMs ?? 0) : chainMs(line, place, sender, supply.placeMs),
  );
  return { ...counts, inMs };
}

/** A person, or nobody who works, must change something first. */
export function isStopped(sender: SenderLook): boolean {
  return (
    sender.pausedReason !== null ||
    sender.isShardPaused ||
    sender.tenant?.isPaused === true ||
    sender.workers === 0 ||
    sender.slots === 0
  );
}

/** Its own template, or that of the message which its conversation waits for; only the provider lets it go on. */
function isTemplateStopped({ hold, inConversation: place }: Line): boolean {
  return hold?.kind === 'template-paused' || place?.head.hold === 'template-paused';
}

/** Conversations of a tenant take turns, so every message before it costs a round through the line. */
function aheadInTenant({ inConversation: place }: Line, { tenant }: SenderLook) {
  const waiting = Math.max(0, (tenant?.backlog ?? 0) - (tenant?.inFlight ?? 0));
  // Outside its conversation: when its time comes it joins at the end of everything that waits then.
  if (place === null) return { conversation: 0, tenant: waiting };
  const others = Math.max(0, waiting - place.messages + (place.head.status === 'sending' ? 1 : 0));
  const rounds = place.conversationsBefore + place.before * Math.max(0, place.conversations - 1);
  return { conversation: place.before, tenant: Math.min(others, rounds) };
}

/** Messages followed one by one; behind these the pace is the last one's. */
const CHAIN_MAX = 1000;

/** The conversation's own pace: one after the other, with the pair's gap and bucket between them. */
function chainMs(line: Line, place: InConversation, sender: SenderLook, placeMs: number): number {
  const { pairGapMs, pairBucketCapacity: capacity, pairMsPerToken } = sender;
  const { head, pair } = place;
  const cycleMs = placeMs + pairGapMs;
  const isOnItsWay = head.status === 'sending';
  // Half of the attempt is over, as nobody knows how much of it.
  const pairMs = isOnItsWay ? placeMs / 2 + pairGapMs : (pair.freeInMs ?? cycleMs / 2) + pair.before * cycleMs;
  let bucketMs = pair.aheadMs;
  let startMs = Math.max(pairMs, head.waitMs ?? 0, line.waitMs ?? 0);
  const steps = place.before - (isOnItsWay ? 1 : 0);
  if (place.before === 0) return startMs;
  let lastMs = cycleMs;
  for (let step = 0; step <= Math.min(steps, CHAIN_MAX); step += 1) {
    const previous = startMs;
    if (step > 0) startMs += cycleMs;
    if (capacity > 0) {
      startMs = Math.max(startMs, bucketMs - (capacity - 1) * pairMsPerToken);
      bucketMs = Math.max(bucketMs, startMs) + pairMsPerToken;
    }
    if (step > 0) lastMs = startMs - previous;
  }
  return startMs + Math.max(0, steps - CHAIN_MAX) * lastMs;
}
