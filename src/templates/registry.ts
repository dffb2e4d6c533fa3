import type { CacheService } from '../cache/index.ts';
import type { SendQueue } from '../engine/contract.ts';
import { AppError } from '../errors/app-error.ts';
import { templateKeyOf } from '../model/message.ts';
import { AccountError } from '../providers/account-error.ts';
import type { ProviderEvent } from '../providers/events.ts';
import {
  type NewTemplate,
  type RemoteTemplate,
  type TemplateAccount,
  TemplateCallError,
  type TemplateProvider,
} from '../providers/template-provider.ts';
import { UnsupportedMessage } from '../providers/unsupported.ts';
import type {
  Exclusive,
  ProviderChanges,
  SenderWithCredentials,
  TemplateFilter,
  TemplateRecord,
  Templates as Store,
} from '../record/index.ts';
import { makeTemplate } from './make.ts';
import { previewOf, type TemplatePreview } from './preview.ts';

/** Words of a provider that stop a template, and those that let it go on. Others change what is shown only. */
export const STOPPED_STATUSES: readonly string[] = ['PAUSED', 'DISABLED', 'REJECTED'];
const FREED = new Set(['APPROVED', 'REINSTATED', 'UNPAUSED']);

export interface TemplateDraft extends Omit<NewTemplate, 'name'> {
  readonly key: string;
  /** At the provider; default: the key, as Meta allows names. */
  readonly name?: string | undefined;
}

export interface TemplatesOptions {
  readonly store: Store;
  readonly providers: readonly TemplateProvider[];
  readonly senders: {
    getWithCredentials(id: string): Promise<SenderWithCredentials | null>;
  };
  readonly changes: Pick<ProviderChanges, 'sendersOf'>;
  readonly exclusive: Exclusive;
  readonly queue: Pick<SendQueue, 'holdTemplate' | 'releaseTemplate'>;
  /** Runs a call to the engine, and tells it of the sender first when it has to. */
  readonly knowing: <T>(call: () => Promise<T>) => Promise<T>;
  readonly cache: Pick<CacheService, 'named'>;
  /** WHATSAPP_BUSINESS_ACCOUNT_ID: of Cloud API senders that name no portfolio. */
  readonly businessAccountId: string | undefined;
  /** TWILIO_CONTENT_URL. */
  readonly twilioContentUrl: string;
}

export interface SyncResult {
  readonly found: number;
  readonly added: number;
  readonly changed: number;
}

/** Templates: what they are, what their provider says of them, and what that means for messages. */
export interface TemplateRegistry {
  list(filter: TemplateFilter): ReturnType<Store['list']>;
  /** @param tenant null = any. @throws AppError `NOT_FOUND` */
  get(tenant: string | null, id: string): Promise<TemplateRecord>;
  /**
   * Makes a template at the sender's provider and hands it in for approval. Callers at once make it once: the others
   * get `CONFLICT`. One whose answer was lost stays `DRAFT`; the same call tries again.
   * @throws AppError `CONFLICT`, `TEMPLATE_REFUSED`, `PROVIDER_UNREACHABLE` (retryable), `REQUEST_INVALID`
   */
  create(tenant: string | null, sender: string, draft: TemplateDraft): Promise<TemplateRecord>;
  /** Takes over what the provider has, and holds or frees messages accordingly. @throws as `create()` */
  sync(sender: string): Promise<SyncResult>;
  /** @throws AppError `NOT_FOUND`, `REQUEST_INVALID` */
  preview(tenant: string | null, id: string, values: Readonly<Record<string, string>>): Promise<TemplatePreview>;
  /** A provider's word. Safe to repeat. `senders`: ours that it is about, beside those of the account. */
  applyEvent(
    provider: string,
    event: Extract<ProviderEvent, { kind: 'template' }>,
    senders: readonly string[],
  ): Promise<void>;
  /** An attempt was answered that the template is stopped: the engine holds it on this sender already. */
  stoppedByAttempt(sender: string, engineKey: string, status: 'PAUSED' | 'DISABLED', reason: string): Promise<void>;
  /** Tells the engine of every stopped template, in case it has forgotten. @returns how many */
  restoreHolds(): Promise<number>;
}

export function createTemplates(options: TemplatesOptions): TemplateRegistry {
  const { store, queue, knowing } = options;

  async function accountOf(
    id: string,
  ): Promise<{ sender: SenderWithCredentials; account: TemplateAccount; provider: TemplateProvider }> {
    const sender = await options.senders.getWithCredentials(id);
    if (sender === null) throw new AppError('NOT_FOUND', { field: 'sender', detail: 'There is no such sender.' });
    const provider = options.providers.find(({ name }) => name === sender.provider);
    const accountId =
      sender.provider === 'twilio' ? sender.credentials['accountSid'] : (sender.portfolio ?? options.businessAccountId);
    if (provider === undefined) {
      throw new AppError('REQUEST_INVALID', {
        field: 'sender',
        detail: 'The provider of this sender has no templates.',
      });
    }
    if (accountId === undefined) {
      const detail = 'Set WHATSAPP_BUSINESS_ACCOUNT_ID, or the portfolio of the sender, to its business account.';
      throw new AppError('REQUEST_INVALID', { field: 'sender', detail });
    }
    const apiUrl = sender.provider === 'twilio' ? options.twilioContentUrl : sender.apiUrl;
    return { sender, provider, account: { apiUrl, accountId, credentials: sender.credentials } };
  }

  /** Holds or frees the messages of a template on every sender that can send it. */
  async function tellEngine(template: TemplateRecord, more: readonly string[] = []): Promise<void> {
    const isStopped = STOPPED_STATUSES.includes(template.status);
    if (!isStopped && !FREED.has(template.status)) return;
    const name = template.provider === 'twilio' ? (template.providerId ?? template.name) : template.name;
    const key = templateKeyOf(name, template.language);
    for (const sender of await sendersOf(template, more)) {
      await knowing(() => (isStopped ? queue.holdTemplate(sender, key) : queue.releaseTemplate(sender, key)));
    }
  }

  async function sendersOf({ provider, account, sender }: TemplateRecord, more: readonly string[]): Promise<string[]> {
    const own = await options.changes.sendersOf(provider, { externalId: null, accountId: account });
    return [...new Set([...own.map(({ id }) => id), ...(sender === null ? [] : [sender]), ...more])];
  }

  async function adopt(
    sender: SenderWithCredentials,
    account: string,
    remote: RemoteTemplate,
  ): Promise<'added' | 'changed' | 'same'> {
    const provider = sender.provider === 'twilio' ? 'twilio' : 'cloud';
    const [known] = await store.atProvider({ provider, account, ...remote });
    const { status, reason, category, components, providerId } = remote;
    if (known !== undefined) {
      const changed = await store.setState(known.id, { status, reason, category, components, providerId }, true);
      if (changed !== null) await tellEngine(changed, [sender.id]);
      return known.status === status ? 'same' : 'changed';
    }
    const { name, language } = remote;
    const row = { provider, account, name, language, category, components, status, reason, providerId } as const;
    // Two contents of one name at Twilio: the second is found by its id.
    const key = await freeKey(sender.tenant, name, language, providerId);
    const added = await store.add({ ...row, tenant: sender.tenant, key, sender: sender.id });
    await tellEngine(added, [sender.id]);
    return 'added';
  }

  async function freeKey(tenant: string | null, name: string, language: string, providerId: string): Promise<string> {
    const { items } = await store.list({ tenant, key: name, language, limit: 1 });
    return items.length === 0 ? name : `${name}.${providerId}`;
  }

  async function get(tenant: string | null, id: string): Promise<TemplateRecord> {
    const found = (await options.cache.named.template.getOrLoad([id], () => store.get(id))) as TemplateRecord | null;
    const isSeen = found !== null && (tenant === null || found.tenant === null || found.tenant === tenant);
    if (!isSeen) throw new AppError('NOT_FOUND', { detail: 'There is no such template.' });
    return found;
  }

  return {
    list: (filter) => store.list(filter),
    get,

    async create(tenant, senderId, { key, name = nameOf(key), ...draft }) {
      const { sender, account, provider } = await accountOf(senderId);
      const at = { provider: provider.name, account: account.accountId };
      const row = { ...at, tenant, key, name, sender: sender.id, ...draft, reason: null, providerId: null };
      try {
        return await makeTemplate(options, row, () => provider.create(account, { name, ...draft }));
      } catch (error) {
        throw toAppError(error);
      }
    },

    async sync(senderId) {
      const { sender, account, provider } = await accountOf(senderId);
      const remote = await provider.list(account).catch((error: unknown) => {
        throw toAppError(error);
      });
      const done = { added: 0, changed: 0, same: 0 };
      for (const template of remote) done[await adopt(sender, account.accountId, template)] += 1;
      return { found: remote.length, added: done.added, changed: done.changed };
    },

    preview: async (tenant, id, values) => previewOf(await get(tenant, id), values),

    async applyEvent(provider, event, senders) {
      if (provider !== 'cloud' && provider !== 'twilio') return;
      const account = event.accountId ?? options.businessAccountId;
      if (account === undefined) return;
      const { name, language, providerTemplateId: providerId, reason } = event;
      const status = FREED.has(event.event) ? 'APPROVED' : event.event;
      let known = await store.atProvider({ provider, account, name, language, providerId });
      if (known.length === 0 && language !== null) {
        const row = {
          provider,
          account,
          name,
          language,
          category: 'UTILITY',
          components: [],
          status,
          reason,
          providerId,
        } as const;
        const key = await freeKey(null, name, language, providerId ?? language);
        known = [await store.add({ ...row, tenant: null, key, sender: senders[0] ?? null })];
      }
      for (const template of known) {
        const changed = await store.setState(template.id, { status, reason, providerId }, true);
        if (changed !== null) await tellEngine(changed, senders);
      }
    },

    async stoppedByAttempt(senderId, engineKey, status, reason) {
      const { account, provider } = await accountOf(senderId);
      const all = await store.ofAccount(provider.name, account.accountId);
      const found = all.find((template) => {
        const name = template.provider === 'twilio' ? (template.providerId ?? template.name) : template.name;
        return templateKeyOf(name, template.language) === engineKey;
      });
      const changed = found === undefined ? null : await store.setState(found.id, { status, reason }, true);
      if (changed !== null) await tellEngine(changed, [senderId]);
    },

    async restoreHolds() {
      const stopped = await store.inStates(STOPPED_STATUSES);
      for (const template of stopped) await tellEngine(template);
      return stopped.length;
    },
  };
}

/** Meta allows small letters, digits and underscores. */
function nameOf(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9_]+/g, '_');
}

function toAppError(error: unknown): unknown {
  if (error instanceof TemplateCallError) {
    return new AppError(error.kind === 'refused' ? 'TEMPLATE_REFUSED' : 'PROVIDER_UNREACHABLE', {
      detail: error.message,
      cause: error,
    });
  }
  if (error instanceof AccountError) {
    return new AppError('REQUEST_INVALID', { field: 'sender', detail: error.message, cause: error });
  }
  if (error instanceof UnsupportedMessage) {
    return new AppError('REQUEST_INVALID', { field: error.field, detail: error.message, cause: error });
  }
  return error;
}
