import type { AppError } from './app-error.ts';
import { ERRORS, type ErrorCode } from './catalogue.ts';

/** Body of every error answer (RFC 9457), `application/problem+json`. */
export interface Problem {
  /** Stable name of the kind of error: `urn:waxwing:error:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  /** What to do. */
  readonly detail: string;
  /** The field at fault, as a path: `text.body`, `messages[3].to`. */
  readonly field?: string;
  readonly requestId: string;
}

/** An error as callers see it: never a stack, a cause or a secret. */
export function toProblem(error: AppError, requestId: string): Problem {
  return {
    ...error.data,
    type: `urn:waxwing:error:${error.code}`,
    title: ERRORS[error.code].title,
    status: error.status,
    code: error.code,
    detail: error.detail,
    ...(error.field === undefined ? {} : { field: error.field }),
    requestId,
  };
}
