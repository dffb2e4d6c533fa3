import type { LivePoint } from './types.ts';

/** Seconds that are kept: what the chart shows. */
export const HISTORY_SECONDS = 600;
/** Seconds of which the figures are means. */
const MEAN_SECONDS = 5;

export interface LiveCounts {
  readonly accepted: number;
  readonly sent: number;
  readonly delivered: number;
  readonly failed: number;
}

interface Reading {
  readonly atMs: number;
  readonly counts: LiveCounts;
  /** Sends by sender. */
  readonly senders: ReadonlyMap<string, number>;
}

const NONE: LiveCounts = { accepted: 0, sent: 0, delivered: 0, failed: 0 };

/** Makes rates of counters that are read now and then. Times are wall clock, epoch ms. */
export class Rates {
  readonly #points: LivePoint[] = [];
  readonly #readings: Reading[] = [];
  /** Up to where the points reach. */
  #pointed: { readonly atMs: number; readonly counts: LiveCounts } | undefined;
  #lastSentAtMs: number | null = null;

  get points(): readonly LivePoint[] {
    return this.#points;
  }

  /** When a message was last seen to be sent; null = not since this process watches. */
  get lastSentAtMs(): number | null {
    return this.#lastSentAtMs;
  }

  /** @returns points of the seconds that ended since the reading before */
  add(atMs: number, counts: LiveCounts, senders: ReadonlyMap<string, number>): LivePoint[] {
    const before = this.#readings.at(-1);
    // A clock that was set back, or counters that began anew with an empty Redis: rates begin anew too.
    if (before !== undefined && (atMs < before.atMs || counts.accepted < before.counts.accepted)) {
      this.#readings.length = 0;
      this.#pointed = undefined;
    } else if (before !== undefined && counts.sent > before.counts.sent) this.#lastSentAtMs = atMs;
    this.#readings.push({ atMs, counts, senders });
    // One more than the mean needs, so that its window is never shorter than told.
    while ((this.#readings[1]?.atMs ?? atMs) <= atMs - MEAN_SECONDS * 1000) this.#readings.shift();
    return this.#addPoints(atMs, counts);
  }

  perSecond(): LiveCounts {
    const [first, last] = [this.#readings[0], this.#readings.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < 500) return NONE;
    const rate = (name: keyof LiveCounts) => perSecondOf(first.counts[name], last.counts[name], first, last);
    return { accepted: rate('accepted'), sent: rate('sent'), delivered: rate('delivered'), failed: rate('failed') };
  }

  senderPerSecond(sender: string): number {
    const [first, last] = [this.#readings[0], this.#readings.at(-1)];
    if (first === undefined || last === undefined || last.atMs - first.atMs < 500) return 0;
    return perSecondOf(first.senders.get(sender) ?? 0, last.senders.get(sender) ?? 0, first, last);
  }

  #addPoints(atMs: number, counts: LiveCounts): LivePoint[] {
    const from = this.#pointed;
    if (from === undefined) {
      this.#pointed = { atMs, counts };
      return [];
    }
    const seconds = Math.floor((atMs - from.atMs) / 1000);
    if (seconds === 0) return [];
    // After a gap (the machine slept) what happened is spread over it; older than the history is nobody's.
    const shown = Math.min(seconds, HISTORY_SECONDS);
    const share = (name: keyof LiveCounts) => Math.max(0, counts[name] - from.counts[name]) / seconds;
    const made = Array.from({ length: shown }, (_, index): LivePoint => {
      const endMs = from.atMs + (seconds - shown + index + 1) * 1000;
      return {
        atMs: endMs,
        accepted: share('accepted'),
        sent: share('sent'),
        delivered: share('delivered'),
        failed: share('failed'),
      };
    });
    this.#pointed = { atMs: from.atMs + seconds * 1000, counts };
    this.#points.push(...made);
    if (this.#points.length > HISTORY_SECONDS) this.#points.splice(0, this.#points.length - HISTORY_SECONDS);
    return made;
  }
}

function perSecondOf(from: number, to: number, first: Reading, last: Reading): number {
  return Math.round((Math.max(0, to - from) / ((last.atMs - first.atMs) / 1000)) * 10) / 10;
}
