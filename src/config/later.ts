/**
 * Names of the contract that this version knows but does not act on yet. Setting one is told at start, so that
 * nobody believes in a setting that does nothing; where ignoring it would do harm, the start is refused.
 */
export interface LaterSetting {
  /** Values that ask for what this version does anyway; they pass without a word. */
  readonly agrees?: readonly string[];
  /** Why the start is refused when it is set to anything else; absent = a warning is enough. */
  readonly refusedBecause?: string;
}

export const LATER_SETTINGS: Readonly<Record<string, LaterSetting>> = {};
