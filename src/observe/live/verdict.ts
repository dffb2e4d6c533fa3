import type { LiveSnapshot, Verdict } from './types.ts';

/** What the answer depends on. */
export interface VerdictInput {
  readonly isQueueKnown: boolean;
  readonly isAllPaused: boolean;
  readonly workers: number;
  readonly waiting: number;
  readonly inFlight: number;
  readonly holds: LiveSnapshot['backlog']['holds'];
  readonly sentPerSecond: number;
  readonly pausedSenders: readonly string[];
  readonly openCircuits: readonly string[];
  /** When a message was last seen to be sent, epoch ms. */
  readonly lastSentAtMs: number | null;
}

type Judged = Omit<Verdict, 'sinceMs'>;

/** Nothing sent for this long, and something could have been: no longer a matter of chance. */
const STUCK_AFTER_MS = 5000;

/** Words for holds in a sentence: "342 wait for …". */
const HOLD_WORDS: Readonly<Record<string, string>> = {
  conversation: 'an earlier message of the same conversation',
  pair: 'the pace of one contact',
  tenant: 'the limit or pause of a tenant',
  'sender-rate': 'the rate of a sender',
  'sender-paused': 'a paused sender',
  circuit: 'an open circuit breaker',
  scheduled: 'the time they are scheduled for',
  deferred: 'a slow retry',
  retry: 'a retry',
  unknown: 'evidence of an attempt whose outcome was lost',
  held: 'a person, because the outcome of an attempt was lost twice',
  ready: 'a worker',
};

export function judge(input: VerdictInput, nowMs: number): Judged {
  const { waiting, inFlight, holds, sentPerSecond } = input;
  const main = mainHold(holds);
  const ready = holds['ready'] ?? 0;
  if (!input.isQueueKnown) {
    return {
      state: 'blind',
      sentence: 'The queue cannot be reached.',
      reason: 'Redis does not answer: nothing is accepted or sent until it does. Nothing accepted is lost.',
    };
  }
  if (waiting + inFlight === 0) {
    const sentence = sentPerSecond > 0 ? 'Flowing: everything is sent at once.' : 'All quiet: nothing waits.';
    return { state: sentPerSecond > 0 ? 'flowing' : 'quiet', sentence, reason: null };
  }
  if (input.isAllPaused) {
    return {
      state: 'held',
      sentence: `Paused: ${count(waiting)} for somebody to resume the send queue.`,
      reason: 'Sending was stopped for all senders. Messages are still accepted.',
    };
  }
  if (input.workers === 0) {
    return {
      state: 'stuck',
      sentence: `Stuck: ${count(waiting)} and no worker runs.`,
      reason: 'Start one: `waxwing start --role worker`.',
    };
  }
  const isStill = sentPerSecond === 0 && nowMs - (input.lastSentAtMs ?? 0) > STUCK_AFTER_MS;
  if (isStill && ready > 0 && inFlight === 0) {
    return {
      state: 'stuck',
      sentence: `Stuck: ${plural(ready, 'message')} could go and no worker takes ${ready === 1 ? 'it' : 'them'}.`,
      reason: 'The workers are alive and do not serve the queue: read their logs, then restart them.',
    };
  }
  const onlyLater = waiting > 0 && waiting === (holds['scheduled'] ?? 0);
  if (inFlight === 0 && onlyLater) {
    return {
      state: 'quiet',
      sentence: `All quiet: ${plural(waiting, 'message')} scheduled for later, nothing else waits.`,
      reason: null,
    };
  }
  if (isStill && inFlight === 0) {
    return { state: 'held', sentence: `Nothing goes: ${count(waiting)}.`, reason: whyHeld(input, main) };
  }
  const rest = main === null ? null : `${count(waiting)}${shareOf(main, waiting)} for ${wordsOf(main.hold)}.`;
  const named = [...namesOf('Paused', input.pausedSenders), ...namesOf('Circuit open', input.openCircuits)];
  return {
    state: 'flowing',
    sentence: `Flowing: ${sentPerSecond > 0 ? `${rate(sentPerSecond)} per second` : `${plural(inFlight, 'message')} in flight`}.`,
    reason: [rest, ...named].filter((one) => one !== null).join(' ') || null,
  };
}

function whyHeld(input: VerdictInput, main: MainHold | null): string | null {
  if (main === null) return null;
  const first = main.hold === 'deferred' || main.hold === 'retry' ? 'A failure is behind it: see the failures.' : '';
  const names = [...namesOf('Paused', input.pausedSenders), ...namesOf('Circuit open', input.openCircuits)];
  const who =
    input.waiting === 1
      ? 'It waits'
      : main.held < input.waiting
        ? `${main.held.toLocaleString('en')} of them wait${main.held === 1 ? 's' : ''}`
        : 'All wait';
  return [`${who} for ${wordsOf(main.hold)}.`, ...names, first].filter((one) => one !== '').join(' ');
}

function namesOf(word: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
  return [`${word}: ${names.slice(0, 3).join(', ')}${more}.`];
}

interface MainHold {
  readonly hold: string;
  /** Messages that wait for it. */
  readonly held: number;
}

function mainHold(holds: VerdictInput['holds']): MainHold | null {
  const [first] = Object.entries(holds)
    .filter(([, held]) => held > 0)
    .sort(([, a], [, b]) => b - a);
  return first === undefined ? null : { hold: first[0], held: first[1] };
}

/** Empty when it is all of them. */
const shareOf = ({ held }: MainHold, waiting: number) =>
  held < waiting ? `, ${held.toLocaleString('en')} of them` : '';
const wordsOf = (hold: string) => HOLD_WORDS[hold] ?? hold;
const rate = (value: number) => (value >= 10 ? Math.round(value).toLocaleString('en') : String(value));
const plural = (value: number, word: string) => `${value.toLocaleString('en')} ${word}${value === 1 ? '' : 's'}`;
const count = (value: number) => `${plural(value, 'message')} ${value === 1 ? 'waits' : 'wait'}`;
