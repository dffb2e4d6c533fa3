import { renamingFields } from '../errors/renaming-fields.ts';
import type { DraftedFailure, FailureToLog } from '../failures/index.ts';
import type { Messages } from '../messages/index.ts';
import { batchItemSchema, parseRequest } from '../messages/request.ts';

/**
 * The message of a failure that somebody else logs, checked like every other: what could never be sent, or not for this
 * tenant, is refused before anything is stored.
 */
export async function draftOfFailure(
  messages: Pick<Messages, 'draft'>,
  { to, message, tenant, conversation, sender, ...failure }: FailureToLog,
): Promise<DraftedFailure> {
  return await renamingFields({ 'text.body': 'message' }, async () => {
    const { idempotencyKey, ...request } = parseRequest(batchItemSchema, {
      ...{ to, tenant, conversation, sender, idempotencyKey: failure.idempotencyKey },
      ...{ type: 'text', text: { body: message } },
    });
    const drafted = await messages.draft(request, { kind: 'platform' }, { idempotencyKey });
    const { id, lane, contact, priority, body, tenantLimits } = drafted.message;
    return { id, shard: drafted.sender.shard, lane, contact, priority, expiresAtMs: null, body, tenantLimits };
  });
}
