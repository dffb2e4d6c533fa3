import { AppError } from '../errors/app-error.ts';

/** Thrown by a processor: another attempt cannot help. The job is failed at once. */
export class JobImpossible extends Error {
  override readonly name = 'JobImpossible';
}

/** Thrown by a processor: not now. The job waits until then; the attempt does not count. */
export class JobLater extends Error {
  override readonly name = 'JobLater';
  /** Epoch ms. */
  readonly atMs: number;

  constructor(atMs: number) {
    super(`not before ${new Date(atMs).toISOString()}`);
    this.atMs = atMs;
  }
}

/** Is this an error that another attempt cannot mend: a caller's mistake by its code. */
export function isImpossible(error: unknown): boolean {
  if (error instanceof JobImpossible) return true;
  return error instanceof AppError && !error.retryable && error.status < 500;
}
