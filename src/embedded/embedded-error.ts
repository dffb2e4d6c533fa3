/** Why an embedded server cannot be used; a caller branches on it, a person reads the message. */
export type EmbeddedErrorCode =
  | 'DATA_FOLDER_BUSY'
  | 'DATA_FOLDER_UNUSABLE'
  | 'DISK_FULL'
  | 'REDIS_MISSING'
  | 'REDIS_FAILED'
  | 'POSTGRES_MISSING'
  | 'POSTGRES_FAILED';

/** A start that failed for a reason outside the program; its message is one sentence that says what to do. */
export class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
  readonly code: EmbeddedErrorCode;

  constructor(code: EmbeddedErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
