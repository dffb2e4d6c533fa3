import type { StatusEvidence } from '../engine/contract.ts';
import type { ProviderStatus } from '../providers/contract.ts';
import { readTag, type TagKey } from '../providers/tag.ts';
import { markSpan } from '../util/traces.ts';

/** A provider's status as the engine takes it; a tag that is not ours names no message. */
export function evidenceOf(status: ProviderStatus, tagKey: TagKey): StatusEvidence {
  const tag = status.tag === null ? null : readTag(status.tag, tagKey);
  markSpan(tag?.traceparent, `status ${status.status}`, {
    'waxwing.message.id': tag?.messageId ?? '',
    'waxwing.attempt': tag?.attempt ?? 0,
    'waxwing.provider.at': new Date(status.atMs).toISOString(),
  });
  return {
    messageId: tag?.messageId ?? '',
    attempt: tag?.attempt ?? null,
    ...(tag?.entry === undefined ? {} : { entry: tag.entry }),
    providerMessageId: status.providerMessageId,
    status: status.status,
    providerAtMs: status.atMs,
    error: status.error,
    ...(status.laterRetry === undefined ? {} : { laterRetry: status.laterRetry }),
    ...(status.isTimeOurs === undefined ? {} : { isTimeOurs: status.isTimeOurs }),
    ...(status.more === undefined ? {} : { more: status.more }),
  };
}
