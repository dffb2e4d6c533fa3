/** Times of the engine that are not settings of a sender or tenant. All in ms. */
export interface EngineOptions {
  /**
   * A hand-over that has not begun within this is given back: its rate tokens are too old. The least; a worker whose
   * calls take longer allows itself three of them, up to `START_BY_MS_MAX`: `StartBy`.
   */
  readonly startByMs: number;
  /** Longest time of one provider call, after which it is certainly over. */
  readonly sendTimeoutMs: number;
  /** How long evidence about an ambiguous attempt is awaited. */
  readonly ambiguousWaitMs: number;
  readonly onAmbiguous: 'reconcile' | 'hold' | 'resend';
  /** Messages that one call of a worker takes, 1 … 25: a script stays under 2 ms. An idle one is handed up to 16. WA_STREAM_READ_COUNT. */
  readonly takeMax: number;
  /** Entries that nobody renewed for this long are looked at, at least a second more than the send timeout. WA_STREAM_CLAIM_IDLE_MS. */
  readonly claimIdleMs: number;
}

export const ENGINE_DEFAULTS: EngineOptions = {
  startByMs: 100,
  sendTimeoutMs: 10_000,
  ambiguousWaitMs: 30_000,
  onAmbiguous: 'reconcile',
  takeMax: 25,
  claimIdleMs: 15_000,
};

/** What the scripts are told: `resend` waits for nothing. */
export function ambiguousArgs(options: EngineOptions): [waitMs: number, afterWait: 'hold' | 'resend'] {
  return [
    options.onAmbiguous === 'resend' ? 0 : options.ambiguousWaitMs,
    options.onAmbiguous === 'hold' ? 'hold' : 'resend',
  ];
}
