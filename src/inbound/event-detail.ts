import type { ProviderContact, ProviderEvent } from '../providers/events.ts';
import type { NewProviderEvent } from '../record/index.ts';

/** What is neither a message nor a status. */
export type SideEvent = Exclude<ProviderEvent, { kind: 'message' | 'status' }>;
export type ToldEvent = Exclude<SideEvent, { kind: 'other' }>;

/** Under which word it is counted. */
export function wordOf(event: SideEvent): string {
  return event.kind === 'other' ? `other:${event.type}` : event.kind;
}

/** Its row in the record. */
export function detailOf(event: SideEvent): Pick<NewProviderEvent, 'accountId' | 'kind' | 'event' | 'detail'> {
  switch (event.kind) {
    case 'template': {
      const { accountId, name, language, providerTemplateId, reason } = event;
      return {
        accountId,
        kind: 'template',
        event: event.event,
        detail: { name, language, providerTemplateId, reason },
      };
    }
    case 'sender': {
      const { accountId, externalSenderId, state, reason } = event;
      return { accountId, kind: 'sender', event: event.event, detail: { externalSenderId, state, reason } };
    }
    case 'contact-changed': {
      const detail = { before: namesOf(event.before), after: namesOf(event.after), atMs: event.atMs };
      return { accountId: null, kind: 'contact-changed', event: 'contact-changed', detail };
    }
    case 'preference': {
      const word = event.wantsMarketing ? 'marketing resumed' : 'marketing stopped';
      const detail = { contact: namesOf(event.contact), atMs: event.atMs };
      return { accountId: null, kind: 'preference', event: word, detail };
    }
    case 'other':
      return {
        accountId: null,
        kind: 'other',
        event: event.type,
        detail: { externalSenderId: event.externalSenderId },
      };
  }
}

function namesOf({ waId, userId, phone }: ProviderContact): Record<string, string | null> {
  return { waId, userId, phone };
}
