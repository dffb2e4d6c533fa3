import type { StatusEvidence } from './contract.ts';
import type { SettleDetail, StatusDetail } from './events.ts';
import type { ScriptArg } from './script-runner.ts';

/**
 * What a provider's status is for `lua/evidence.lua`.
 * @param keep does this shard write it into its events
 */
export function encodeStatus(status: StatusEvidence, keep: boolean): ScriptArg[] {
  // What is undefined is not written.
  const { providerMessageId, error, providerAtMs, laterRetry, isTimeOurs, more } = status;
  const told = { providerMessageId, status: status.status, providerAtMs, error, laterRetry, isTimeOurs, more };
  const detail = told as StatusDetail;
  const sent: SettleDetail = { providerMessageId, report: null };
  const text = `${status.messageId}|${JSON.stringify(sent)}`;
  return [status.messageId, keep ? JSON.stringify(detail) : '', text, status.entry ?? ''];
}
