import type { Conversations } from './conversations.ts';
import type { Ledger } from './ledger.ts';
import type { Live } from './live.ts';
import type { Media } from './media.ts';
import type { Numbers } from './numbers.ts';
import type { Outbox } from './outbox.ts';
import type { Pairs } from './pairs.ts';
import type { Rules } from './rules.ts';
import type { Settings } from './settings.ts';
import type { Statuses } from './statuses.ts';
import type { Timers } from './timers.ts';

/** Totals since the start or the last reset. */
export interface Totals {
  requests: number;
  messages: number;
  accepted: number;
  rejected: number;
  limited: number;
  faults: number;
  failedLater: number;
  inbound: number;
  inFlight: number;
  inFlightMax: number;
}

/** Everything that one emulator is made of. */
export interface World {
  readonly settings: () => Settings;
  /** Merges a patch into the settings. Throws `ControlError` and changes nothing when the result is not valid. */
  readonly change: (patch: unknown) => Settings;
  /** Back to the settings of the start. */
  readonly restoreSettings: () => void;
  readonly timers: Timers;
  readonly numbers: Numbers;
  readonly pairs: Pairs;
  readonly rules: Rules;
  readonly ledger: Ledger;
  readonly conversations: Conversations;
  readonly statuses: Statuses;
  readonly outbox: Outbox;
  readonly media: Media;
  readonly live: Live;
  readonly totals: Totals;
}

export function emptyTotals(): Totals {
  return {
    requests: 0,
    messages: 0,
    accepted: 0,
    rejected: 0,
    limited: 0,
    faults: 0,
    failedLater: 0,
    inbound: 0,
    inFlight: 0,
    inFlightMax: 0,
  };
}
