import type { ProviderEvent } from '../providers/events.ts';
import type { RemoteTemplate } from '../providers/template-provider.ts';
import type { SenderWithCredentials, TemplateRecord, Templates as Store } from '../record/index.ts';
import { FREED_STATUSES, type HoldPorts, tellEngine } from './holds.ts';

export interface AdoptPorts extends HoldPorts {
  readonly store: Store;
}

/** Takes over one template as its provider lists it. */
export async function adopt(
  ports: AdoptPorts,
  sender: SenderWithCredentials,
  account: string,
  remote: RemoteTemplate,
): Promise<'added' | 'changed' | 'same'> {
  const { store } = ports;
  const provider = sender.provider === 'twilio' ? 'twilio' : 'cloud';
  const [known] = await store.atProvider({ provider, account, ...remote });
  const { status, reason, category, components, providerId } = remote;
  if (known !== undefined) {
    const changed = await store.setState(known.id, { status, reason, category, components, providerId }, true);
    if (changed !== null) await tellEngine(ports, changed, [sender.id]);
    return known.status === status ? 'same' : 'changed';
  }
  const { name, language } = remote;
  const row = { provider, account, name, language, category, components, status, reason, providerId } as const;
  // Two contents of one name at Twilio: the second is found by its id.
  const key = await freeKey(store, sender.tenant, name, language, providerId);
  const added = await store.add({ ...row, tenant: sender.tenant, key, sender: sender.id });
  await tellEngine(ports, added, [sender.id]);
  return 'added';
}

/** Takes over what a provider's event says, also of a template that nobody here has seen. */
export async function adoptEvent(
  ports: AdoptPorts,
  { provider, account }: { readonly provider: 'cloud' | 'twilio'; readonly account: string },
  event: Extract<ProviderEvent, { kind: 'template' }>,
  senders: readonly string[],
): Promise<void> {
  const { store } = ports;
  const { name, language, providerTemplateId: providerId, reason } = event;
  const status = FREED_STATUSES.includes(event.event) ? 'APPROVED' : event.event;
  let known: readonly TemplateRecord[] = await store.atProvider({ provider, account, name, language, providerId });
  if (known.length === 0 && language !== null) {
    const unseen = { category: 'UTILITY', components: [], tenant: null, sender: senders[0] ?? null } as const;
    const key = await freeKey(store, null, name, language, providerId ?? language);
    known = [await store.add({ ...unseen, provider, account, name, language, status, reason, providerId, key })];
  }
  for (const template of known) {
    const changed = await store.setState(template.id, { status, reason, providerId }, true);
    if (changed !== null) await tellEngine(ports, changed, senders);
  }
}

async function freeKey(
  store: Store,
  tenant: string | null,
  name: string,
  language: string,
  providerId: string,
): Promise<string> {
  const { items } = await store.list({ tenant, key: name, language, limit: 1 });
  return items.length === 0 ? name : `${name}.${providerId}`;
}
