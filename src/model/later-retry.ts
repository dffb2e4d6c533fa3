/** What Waxwing does by itself about a message that the provider took and then could not deliver. */
export interface LaterRetry {
  /** From the report to the new attempt, ms. */
  readonly waitMs: number;
  /** New attempts of a message for such reports, ≥ 1; then it is a dead letter. */
  readonly retriesMax: number;
  /** Only a message whose media is a link: the file behind it may be there now. */
  readonly onlyForLink?: boolean;
}
