import { ERRORS, type ErrorCode, type ErrorEntry } from './catalogue.ts';

export interface AppErrorOptions {
  /** What to do, in one sentence for the caller; defaults to the catalogue's text. */
  readonly detail?: string;
  /** The field at fault, as a path: `text.body`, `messages[3].to`. */
  readonly field?: string;
  /** Seconds for `Retry-After`. */
  readonly retryAfterSeconds?: number;
  /** Members of the answer beside those that every error has, for programs to read. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An operating error that a caller can act on. Branch on `code`, never on text. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  readonly detail: string;
  readonly field: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly data: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    const entry: ErrorEntry = ERRORS[code];
    super(options.detail ?? entry.detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = entry.status;
    this.retryable = entry.retryable;
    this.detail = this.message;
    this.field = options.field;
    this.data = options.data;
    this.retryAfterSeconds = options.retryAfterSeconds ?? entry.retryAfterSeconds;
  }
}

/** Is it an error of the catalogue with this code, or one of these? Anything else that was thrown is none. */
export function hasCode<C extends ErrorCode>(error: unknown, ...codes: readonly C[]): error is AppError & { code: C } {
  return error instanceof AppError && codes.some((code) => code === error.code);
}
