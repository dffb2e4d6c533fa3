import type { SenderLook } from '../engine/line.ts';
import { isStopped } from './explain.ts';
import { type Course, follow } from './pace.ts';
import { type AttemptTime, demandsOf, supplyOf } from './supply.ts';
import { isoOrNull } from './view.ts';
import { counted, span } from './wording.ts';

/** When a broadcast would be done. Times are ISO 8601 UTC. */
export interface Forecast {
  readonly sender: string;
  readonly tenant: string;
  readonly messages: number;
  /** When the last of them has been taken by the provider; null while sending is stopped. */
  readonly doneAt: string | null;
  /** From now until then. */
  readonly seconds: number | null;
  /** What bounds the pace at the end. */
  readonly limitedBy: Course['limitedBy'];
  /** The tenant's pace at the end, messages per second. */
  readonly perSecond: number;
  /** Messages that wait already: the tenant's own, which go first, and those of others on the sender. */
  readonly backlog: { readonly tenant: number; readonly others: number };
  /** How long an attempt takes, ms; `measured: false` = a guess, because nothing was sent yet. */
  readonly attempt: { readonly meanMs: number; readonly measured: boolean };
  readonly sentence: string;
}

export interface ForecastQuestion {
  readonly sender: string;
  readonly tenant: string;
  /** Each to another person. */
  readonly messages: number;
  readonly look: SenderLook;
  readonly time: AttemptTime;
  readonly tenantLimits: { readonly concurrency: number; readonly weight: number };
  readonly nowMs: number;
}

export function forecast(question: ForecastQuestion): Forecast {
  const { look, time, messages, nowMs } = question;
  const supply = supplyOf(look, time);
  const demands = demandsOf(look);
  const own = Math.max(0, (look.tenant?.backlog ?? 0) - (look.tenant?.inFlight ?? 0));
  const { weight, concurrency } = question.tenantLimits;
  const course = follow(own + messages, { weight, places: concurrency }, demands, supply);
  const startMs = Math.max(look.rateWaitMs, look.circuitMs ?? 0);
  // At a bound of places the last attempts are in the flow already; at a rate the last one begins at its end.
  const lastMs = course.limitedBy === 'rate' ? supply.placeMs : 0;
  const doneMs = isStopped(look) ? null : startMs + Math.max(course.ms + lastMs, supply.placeMs);
  const answer = {
    sender: question.sender,
    tenant: question.tenant,
    messages,
    doneAt: isoOrNull(doneMs === null ? null : nowMs + Math.round(doneMs)),
    seconds: doneMs === null ? null : Math.round(doneMs / 10) / 100,
    limitedBy: course.limitedBy,
    perSecond: Math.round(course.perSecond * 100) / 100,
    backlog: { tenant: own, others: Math.round(demands.reduce((sum, one) => sum + one.messages * one.times, 0)) },
    attempt: { meanMs: Math.round(time.meanMs * 10) / 10, measured: time.isMeasured },
  };
  return { ...answer, sentence: sentenceOf(answer, look, doneMs) };
}

const LIMITS: Readonly<Record<Course['limitedBy'], string>> = {
  rate: "the sender's rate",
  'sender-places': 'the places of the sender and its workers, and the time of an attempt',
  'tenant-places': "the tenant's own places, and the time of an attempt",
  nothing: 'nothing',
};

function sentenceOf(answer: Omit<Forecast, 'sentence'>, look: SenderLook, doneMs: number | null): string {
  const what = counted(answer.messages, 'message');
  if (doneMs === null) {
    const why =
      look.workers === 0 || look.slots === 0
        ? 'no worker is running'
        : look.tenant?.isPaused === true
          ? 'the tenant is paused'
          : (look.pausedReason ?? 'sending is paused');
    return `${what} would wait, because ${why}.`;
  }
  const first =
    answer.backlog.tenant === 0 ? '' : `, after ${counted(answer.backlog.tenant, 'message')} already waiting`;
  const guess = answer.attempt.measured ? '' : ' Nothing was sent yet, so the time of an attempt is a guess.';
  return `${what} would be done in ${span(doneMs)}${first}, at ${answer.perSecond} a second; what bounds it is ${LIMITS[answer.limitedBy]}.${guess}`;
}
