import { ExponentialBackoff, handleAll, retry } from 'cockatiel';
import type { FastifyBaseLogger } from 'fastify';
import { AppError, hasCode } from '../../errors/app-error.ts';
import type { Audit } from '../../record/index.ts';

/** An end that could not be written is tried for some minutes more. */
const LATER = { maxAttempts: 20, backoff: new ExponentialBackoff({ initialDelay: 500, maxDelay: 30_000 }) };

const NOTHING_DONE =
  'Nothing was done: this act is written into the audit before it begins, and PostgreSQL does not answer. Try again after the given time.';

/**
 * Runs an act that cannot be taken back, with its entry in the audit written first: nothing is done that the audit does
 * not know, and what was done is answered as done although its end could not be written at once.
 * @param run what it answers becomes the detail of the entry: counts and ids
 * @throws RECORD_UNAVAILABLE before the act when the entry cannot be written; else what the act throws
 */
export async function audited<T extends object>(
  { audit, log }: { readonly audit: Audit; readonly log: FastifyBaseLogger },
  begun: Parameters<Audit['begin']>[0],
  run: () => Promise<T>,
): Promise<T> {
  const id = await audit.begin(begun).catch((error: unknown) => {
    if (!hasCode(error, 'RECORD_UNAVAILABLE')) throw error;
    throw new AppError('RECORD_UNAVAILABLE', { detail: NOTHING_DONE, cause: error });
  });
  const ended = (detail: Readonly<Record<string, unknown>>) => writeEnd({ audit, log }, id, detail);
  try {
    const done = await run();
    await ended({ ...(done as Record<string, unknown>) });
    return done;
  } catch (error) {
    await ended({ brokeOff: error instanceof AppError ? error.code : 'INTERNAL' });
    throw error;
  }
}

/** Never fails: the act is over. What stays unwritten stands in the log. */
async function writeEnd(
  { audit, log }: { readonly audit: Audit; readonly log: FastifyBaseLogger },
  id: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const write = () => audit.complete(id, detail);
  try {
    await write();
  } catch (error) {
    log.warn({ err: error, audit: id, ...detail }, 'how an act ended is not in the audit yet; it is tried again');
    // A process that stops does not wait for it.
    void retry(handleAll, LATER)
      .dangerouslyUnref()
      .execute(write)
      .catch(() => log.error({ audit: id, ...detail }, 'how an act ended could not be written into the audit'));
  }
}
