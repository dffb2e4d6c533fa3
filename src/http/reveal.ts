import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { AppError } from '../errors/app-error.ts';
import type { WaxwingRecord } from '../record/index.ts';
import { personOf } from './plugins/auth.ts';

/** Of every route of `/admin` that can show what people wrote or are called by. */
export const revealField = {
  reveal: z
    .stringbool()
    .default(false)
    .describe(
      'True: texts and numbers as they are. Admins only, and written in the audit. Otherwise numbers keep their last two digits and texts tell their length.',
    ),
};
export const revealQuery = z.object(revealField);

/**
 * Does this answer hold texts and numbers as they are. Nobody gets them by the way: an admin asks for them in the
 * request, and the audit says so before the answer leaves.
 * @param target what is read, such as `failure <id>`
 * @throws AppError `FORBIDDEN` for everybody but an admin who asked
 */
export async function isRevealed(
  record: Pick<WaxwingRecord, 'audit'>,
  request: FastifyRequest,
  reveal: boolean,
  target: string,
  detail: Record<string, unknown> = {},
): Promise<boolean> {
  if (!reveal) return false;
  const { name, role } = personOf(request);
  if (role !== 'admin') {
    const sentence = `Texts and numbers are shown to admins; you have ${role}. Leave reveal out to read them masked.`;
    throw new AppError('FORBIDDEN', { field: 'reveal', detail: sentence });
  }
  await record.audit.add({ actor: name, action: 'texts.reveal', target, detail });
  return true;
}
