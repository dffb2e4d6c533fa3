import type { SenderLook } from '../engine/line.ts';
import type { HoldKind, MessageStatus } from '../model/message.ts';
import type { Expected, Situation } from './situation.ts';
import type { MessageView } from './view.ts';
import { counted, span } from './wording.ts';

/** What one says of a message that waits for nothing any more. */
export function endOf(view: MessageView): string {
  return ENDS[view.status](view);
}

const notHere = () =>
  'The engine does not hold it and the record does not say how it ended: read it again in a moment, and run waxwing doctor when it stays so.';

const ENDS: Readonly<Record<MessageStatus, (view: MessageView) => string>> = {
  sent: ({ sentAt, statusOverdue }) =>
    `The provider took it${sentAt === null ? '' : ` at ${sentAt}`}${statusOverdue ? '; no status has told anything since, which is longer than usual' : ''}.`,
  delivered: ({ deliveredAt }) => `It was delivered${deliveredAt === null ? '' : ` at ${deliveredAt}`}.`,
  read: ({ readAt }) => `It was read${readAt === null ? '' : ` at ${readAt}`}.`,
  failed: ({ error }) =>
    `It failed and will not be tried again by itself: ${error?.title ?? 'no reason was recorded'}${error?.providerCode == null ? '' : ` (${error.providerCode})`}. A person can redrive it.`,
  cancelled: () => 'It was cancelled before it was sent.',
  expired: ({ expiresAt }) => `It was not sent before it expired${expiresAt === null ? '' : ` at ${expiresAt}`}.`,
  queued: notHere,
  scheduled: notHere,
  sending: notHere,
  deferred: notHere,
  unknown: notHere,
};

interface Told {
  readonly sentence: string;
  readonly endsWhen: string | null;
}

/** One plain sentence, and what ends the hold. */
export function sentenceOf(situation: Situation, expected: Expected): Told {
  const { line, sender, view } = situation;
  if (line.status === 'sending' && sender.workers === 0) {
    return {
      sentence: `The worker that attempt ${line.attempts} was given to is gone, and no other is running that could take over.`,
      endsWhen: 'a worker starts',
    };
  }
  if (line.status === 'sending') {
    return { sentence: `It is being sent right now (attempt ${line.attempts}).`, endsWhen: null };
  }
  if (line.status === 'held') {
    return {
      sentence: `Nobody knows whether attempt ${line.attempts} was taken, so a person has to decide: resend it or close it.`,
      endsWhen: 'a person decides, or a status proves that it was sent',
    };
  }
  if (line.status === 'unknown') {
    const wait = line.waitMs === null ? '' : ` for another ${span(line.waitMs)}`;
    return {
      sentence: `The answer to attempt ${line.attempts} was lost; a status that proves it is awaited${wait}, then it is decided again.`,
      endsWhen: 'a status proves that it was sent, or the wait is over',
    };
  }
  const { why, endsWhen } = reasonOf(situation, expected);
  return { sentence: `${why}${whenOf(situation, expected)}${expiryOf(view, situation.nowMs, expected)}.`, endsWhen };
}

function reasonOf(situation: Situation, expected: Expected): { why: string; endsWhen: string | null } {
  const { line, sender } = situation;
  const { hold } = line;
  if (sender.workers === 0 && line.status === 'queued') {
    return { why: 'No worker is running that could send it', endsWhen: 'a worker starts' };
  }
  if (hold !== null) return HOLDS[hold.kind](situation, expected);
  const { tenant, others } = expected;
  if (tenant + others === 0) return { why: 'Nothing holds it', endsWhen: null };
  return { why: `It waits for its turn behind ${queueOf(expected)}`, endsWhen: 'its turn comes' };
}

type Reason = (situation: Situation, expected: Expected) => { why: string; endsWhen: string };

const HOLDS: Readonly<Record<HoldKind, Reason>> = {
  conversation: (situation, { conversation }) => ({
    why: `It waits behind ${counted(conversation, 'message')} of its conversation; the first of them ${headOf(situation)}`,
    endsWhen: 'the messages before it have ended',
  }),
  pair: ({ line, sender }) => ({
    why: `The person was written to a moment ago, and WhatsApp wants ${sender.pairGapMs === 0 ? 'time' : span(sender.pairGapMs)} between two messages to the same person`,
    endsWhen:
      line.inConversation?.pair.freeInMs === null
        ? 'the attempt to the same person has ended'
        : 'the gap to the same person is over',
  }),
  tenant: ({ sender }) => ({
    why:
      sender.tenant?.isPaused === true
        ? 'The tenant is paused'
        : `All ${counted(sender.tenant?.concurrency ?? 1, 'place')} of the tenant are in use`,
    endsWhen: sender.tenant?.isPaused === true ? 'somebody resumes the tenant' : "one of the tenant's attempts ends",
  }),
  'sender-rate': ({ line, sender }, expected) => ({
    why:
      line.hold?.untilMs === null
        ? `All ${counted(sender.concurrency, 'place')} of the sender are in use${behind(expected)}`
        : `The sender may start ${rateOf(sender)} a second${behind(expected)}`,
    endsWhen:
      line.hold?.untilMs === null ? "one of the sender's attempts ends" : "the sender's rate lets the next one go",
  }),
  'sender-paused': ({ sender }) => {
    if (sender.isShardPaused)
      return { why: 'All sending is paused', endsWhen: 'somebody resumes the queue whatsapp-send' };
    if (sender.pausedReason === null) return { why: 'The tenant is paused', endsWhen: 'somebody resumes the tenant' };
    return { why: `The sender is paused: ${sender.pausedReason}`, endsWhen: 'somebody resumes the sender' };
  },
  circuit: ({ sender }) => ({
    why: "The sender's provider failed too often, so nothing is sent until a single probe has succeeded",
    endsWhen:
      sender.circuitMs === 0 ? 'the probe succeeds' : `a probe goes in ${span(sender.circuitMs ?? 0)} and succeeds`,
  }),
  scheduled: ({ view }) => ({
    why: `It is scheduled${view.sendAt === null ? '' : ` for ${view.sendAt}`}`,
    endsWhen: 'its time has come',
  }),
  retry: ({ line, view }) => ({
    why: `Attempt ${line.attempts} did not succeed${view.error === null ? '' : ` (${view.error.title})`} and it waits for the next one`,
    endsWhen: 'the wait between two attempts is over',
  }),
  window: () => ({
    why: "The person's 24-hour window is closed, and only a template may be sent outside it",
    endsWhen: 'the person writes',
  }),
  'template-paused': () => ({
    why: 'Meta has paused its template',
    endsWhen: 'Meta lets the template go on',
  }),
};

const HEADS: Readonly<Partial<Record<HoldKind, string>>> = {
  pair: 'waits for the gap between two messages to the same person',
  tenant: 'waits for a place of the tenant',
  'sender-rate': 'waits for the sender',
  'sender-paused': 'waits because sending is paused',
  circuit: "waits because the sender's provider fails",
  'template-paused': 'waits because Meta has paused its template',
};

/** What the first message of the conversation does. */
function headOf({ line, sender }: Situation): string {
  const head = line.inConversation?.head;
  if (head === undefined) return 'is about to go';
  const inTime = head.waitMs === null ? '' : ` in ${span(head.waitMs)}`;
  if (head.status === 'sending') return 'is being sent';
  if (head.status === 'unknown') return 'waits for a status, because the answer to its attempt was lost';
  if (head.hold === 'retry') return `waits for its next attempt${inTime}`;
  if (head.hold === 'sender-paused' && sender.pausedReason !== null)
    return `waits because the sender is paused (${sender.pausedReason})`;
  return (head.hold === null ? undefined : HEADS[head.hold]) ?? 'is about to go';
}

function queueOf({ tenant, others }: Expected): string {
  const parts = [
    ...(tenant > 0 ? [`${counted(tenant, 'message')} of its tenant`] : []),
    ...(others > 0 ? [`${counted(others, 'message')} of other tenants`] : []),
  ];
  return parts.join(' and ');
}

function behind(expected: Expected): string {
  return expected.tenant + expected.others === 0 ? '' : `, and it stands behind ${queueOf(expected)}`;
}

function rateOf({ ratePerSecond, ratePerSecondMax }: SenderLook): string {
  const now = counted(Math.round(ratePerSecond * 10) / 10, 'message');
  return ratePerSecond < ratePerSecondMax
    ? `${now} (less than its ${ratePerSecondMax}, because the provider slowed it down)`
    : now;
}

function whenOf({ line, time }: Situation, { inMs }: Expected): string {
  if (inMs === null) return '; when it goes hangs on that alone';
  if (inMs < 50) return line.hold === null ? ': it goes as soon as a worker takes it' : '; it goes at once after that';
  return `; it will probably go in ${time.isMeasured ? '' : 'about '}${span(inMs)}`;
}

function expiryOf({ expiresAt }: MessageView, nowMs: number, { inMs }: Expected): string {
  if (expiresAt === null) return '';
  if (inMs !== null && nowMs + inMs < Date.parse(expiresAt)) return '';
  return `, and it expires at ${expiresAt} when it has not gone by then`;
}
