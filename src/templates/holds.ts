import type { SendQueue } from '../engine/contract.ts';
import { templateKeyOf } from '../model/message.ts';
import type { ProviderChanges, TemplateRecord } from '../record/index.ts';

/** Words of a provider that stop a template, and those that let it go on. Others change what is shown only. */
export const STOPPED_STATUSES: readonly string[] = ['PAUSED', 'DISABLED', 'REJECTED'];
export const FREED_STATUSES: readonly string[] = ['APPROVED', 'REINSTATED', 'UNPAUSED'];

export interface HoldPorts {
  readonly changes: Pick<ProviderChanges, 'sendersOf'>;
  readonly queue: Pick<SendQueue, 'holdTemplate' | 'releaseTemplate'>;
  /** Runs a call to the engine, and tells it of the sender first when it has to. */
  readonly knowing: <T>(call: () => Promise<T>) => Promise<T>;
}

/** The name under which the engine knows it: Twilio's messages name a content's id. */
export function engineKeyOf({ provider, providerId, name, language }: TemplateRecord): string {
  return templateKeyOf(provider === 'twilio' ? (providerId ?? name) : name, language);
}

/**
 * Holds or frees the messages of a template on every sender that can send it.
 * @param more senders beside those that the record knows for its account
 */
export async function tellEngine(
  { changes, queue, knowing }: HoldPorts,
  template: TemplateRecord,
  more: readonly string[] = [],
): Promise<void> {
  const isStopped = STOPPED_STATUSES.includes(template.status);
  if (!isStopped && !FREED_STATUSES.includes(template.status)) return;
  const { provider, account, sender } = template;
  const own = await changes.sendersOf(provider, { externalId: null, accountId: account });
  const key = engineKeyOf(template);
  for (const id of new Set([...own.map((one) => one.id), ...(sender === null ? [] : [sender]), ...more])) {
    await knowing(() => (isStopped ? queue.holdTemplate(id, key) : queue.releaseTemplate(id, key)));
  }
}
