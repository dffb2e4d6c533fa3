import { hash, verify, type Options } from '@node-rs/argon2';
import { bulkhead, BulkheadRejectedError } from 'cockatiel';

/** OWASP's figures for argon2id; the library's default algorithm is argon2id. */
const PARAMETERS: Options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Each takes 19 MiB and some 20 ms of a core: guessing must not fill memory or starve the rest of the process. */
const AT_ONCE = 2;
const WAITING_MAX = 32;

export const PASSWORD_CHARACTERS_MIN = 12;
export const PASSWORD_CHARACTERS_MAX = 200;

/** More checks of passwords are waiting than is sensible: try again in a second. */
export class PasswordsBusyError extends Error {
  override readonly name = 'PasswordsBusyError';
}

const queue = bulkhead(AT_ONCE, WAITING_MAX);

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await queue.execute(work);
  } catch (error) {
    if (error instanceof BulkheadRejectedError) throw new PasswordsBusyError('too many passwords to check');
    throw error;
  }
}

/** argon2id in the PHC form, with a salt of its own. @throws PasswordsBusyError */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(password, PARAMETERS));
}

let nobodysHash: Promise<string> | undefined;

/**
 * Is this the password of the hash. Without a hash (an unknown name) it takes the same work and says no, so that the
 * time does not tell which names exist.
 * @throws PasswordsBusyError
 */
export async function verifyPassword(password: string, passwordHash: string | null): Promise<boolean> {
  nobodysHash ??= hash('nobody has this password', PARAMETERS);
  const against = passwordHash ?? (await nobodysHash);
  const isRight = await inTurn(() => verify(against, password));
  return isRight && passwordHash !== null;
}
