import pg from 'pg';
import { AppError } from '../errors/app-error.ts';

/**
 * SQLSTATE classes (first two characters) that say the server cannot work now, whatever the statement: the same
 * statement may succeed later. @see https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE_CLASSES: ReadonlySet<string> = new Set([
  '08', // connection exception
  '28', // invalid authorization: a password that was changed
  '3D', // the database does not exist (yet)
  '40', // transaction rollback: deadlock, serialization
  '53', // insufficient resources: disk full, too many connections
  '55', // object not in prerequisite state: lock not available
  '57', // operator intervention: shutdown, statement timeout
  '58', // system error outside PostgreSQL
]);

/** The server became a standby: writes work again when the connection goes to the new primary. */
const READ_ONLY = '25006';

/** Classes that blame the values: the same statement with them will never succeed. */
const DATA_CLASSES: ReadonlySet<string> = new Set([
  '21', // cardinality violation
  '22', // data exception
  '23', // integrity constraint violation
  '54', // program limit exceeded: a value too long for an index
]);

/** PostgreSQL has no NUL in texts; it may come from any path or query of a request. */
const CHARACTER_NOT_STORABLE = '22021';

/** Can the same call be expected to work when the server is well again? */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? '';
    return UNAVAILABLE_CLASSES.has(code.slice(0, 2)) || code === READ_ONLY;
  }
  // What the driver throws without an SQLSTATE is about the connection; a TypeError or RangeError is our own mistake.
  return error instanceof Error && !(error instanceof TypeError) && !(error instanceof RangeError);
}

/** Classes that speak of the session itself, not of a statement: no connection, not let in, no such database. */
const AWAY_CLASSES: ReadonlySet<string> = new Set(['08', '28', '3D']);
/** The server shuts down, has crashed, or does not take sessions yet. */
const AWAY_CODES: ReadonlySet<string> = new Set(['57P01', '57P02', '57P03']);
/** Of the pool: all its connections are in use, which says nothing of the server. */
const POOL_BUSY = 'timeout exceeded when trying to connect';

/**
 * Does the error say that the server cannot be reached? One that answers, even with a refusal, is there: a constraint,
 * a deadlock, a statement that was cut, a full disk, too many connections, a standby are no reason to leave it alone.
 */
export function isServerAway(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) {
    const code = error.code ?? '';
    return AWAY_CLASSES.has(code.slice(0, 2)) || AWAY_CODES.has(code);
  }
  return isUnavailable(error) && error instanceof Error && error.message !== POOL_BUSY;
}

/** Will the statement fail again with the same values, on a healthy server too? */
export function isDataError(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return DATA_CLASSES.has((error.code ?? '').slice(0, 2));
  return error instanceof TypeError || error instanceof RangeError;
}

/** Two transactions waited for each other and this one was rolled back: it may simply go again. */
export function isDeadlock(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === '40P01' || error.code === '40001');
}

export function isStatementTimeout(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '57014';
}

export function isUniqueViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23505';
}

export function isForeignKeyViolation(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '23503';
}

/** The driver's error as callers shall see it: RECORD_UNAVAILABLE when the server is the reason; most stay as they are. */
export function toRecordError(error: unknown): unknown {
  if (isUnavailable(error)) return new AppError('RECORD_UNAVAILABLE', { cause: error });
  if (error instanceof pg.DatabaseError && error.code === CHARACTER_NOT_STORABLE) {
    return new AppError('REQUEST_INVALID', {
      detail: 'A text holds the character U+0000, which cannot be stored: leave it out.',
      cause: error,
    });
  }
  return error;
}
