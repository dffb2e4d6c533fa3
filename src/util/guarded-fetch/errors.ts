/**
 * - `url`: the address itself is not allowed: scheme, port, user name in it, or not an address at all
 * - `address`: its host leads to an address that is not on the public internet
 * - `dns`: its host has no address
 * - `timeout`: no whole answer within the time
 * - `too-large`: the answer is longer than is read
 * - `network`: refused, reset, TLS fault
 * - `redirect`: the answer leads elsewhere, which is never followed
 */
export type GuardedFetchReason = 'url' | 'address' | 'dns' | 'timeout' | 'too-large' | 'network' | 'redirect';

/** A call to an address of somebody else's choice failed or was not made. The message holds no address and no secret. */
export class GuardedFetchError extends Error {
  override readonly name = 'GuardedFetchError';
  readonly reason: GuardedFetchReason;
  /** Can the same call succeed later without anybody changing the address. */
  readonly retryable: boolean;

  constructor(reason: GuardedFetchReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.retryable = reason !== 'url' && reason !== 'redirect';
  }
}
