/** The sender cannot be used as it is stored; `message` says which part and what to do, and holds no secret. */
export class AccountError extends Error {
  /** `credentials`: the token or key; `address`: the API's address or the sender's id at the provider. */
  readonly part: 'credentials' | 'address';
  constructor(part: 'credentials' | 'address', message: string) {
    super(message);
    this.part = part;
  }
}

/**
 * The base address of an account, ready for paths to be put behind it.
 * @param example shown when it cannot be used
 * @throws AccountError
 */
export function baseUrl(apiUrl: string, example: string): URL {
  const base = URL.canParse(apiUrl) ? new URL(apiUrl) : null;
  if (base === null || !['http:', 'https:'].includes(base.protocol)) {
    throw new AccountError('address', `Set the API address of this sender, such as ${example}.`);
  }
  return new URL(base.pathname.replace(/\/+$/, ''), base.origin);
}

/**
 * A credential that goes into a header.
 * @throws AccountError
 */
export function headerSecret(value: string | undefined, what: string): string {
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value)) {
    throw new AccountError('credentials', `Set the ${what} of this sender; it has no spaces or line breaks.`);
  }
  return value;
}
