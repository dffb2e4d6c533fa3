import type { CacheService } from '../cache/index.ts';
import { AppError } from '../errors/app-error.ts';
import { AccountError } from '../providers/account-error.ts';
import type { ProviderEvent } from '../providers/events.ts';
import { type NewTemplate, TemplateCallError } from '../providers/template-provider.ts';
import { UnsupportedMessage } from '../providers/unsupported.ts';
import type { Exclusive, TemplateFilter, TemplateRecord, Templates as Store } from '../record/index.ts';
import { accountOf, type AccountPorts } from './account.ts';
import { adopt, adoptEvent, type AdoptPorts } from './adopt.ts';
import { engineKeyOf, STOPPED_STATUSES, tellEngine } from './holds.ts';
import { makeTemplate } from './make.ts';
import { previewOf, type TemplatePreview } from './preview.ts';

export interface TemplateDraft extends Omit<NewTemplate, 'name'> {
  readonly key: string;
  /** At the provider; default: the key, as Meta allows names. */
  readonly name?: string | undefined;
}

export interface TemplatesOptions extends AccountPorts, AdoptPorts {
  readonly exclusive: Exclusive;
  readonly cache: Pick<CacheService, 'named'>;
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
  const { store, businessAccountId } = options;

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
      const { sender, account, provider } = await accountOf(options, senderId);
      const at = { provider: provider.name, account: account.accountId };
      const row = { ...at, tenant, key, name, sender: sender.id, ...draft, reason: null, providerId: null };
      try {
        return await makeTemplate(options, row, () => provider.create(account, { name, ...draft }));
      } catch (error) {
        throw toAppError(error);
      }
    },

    async sync(senderId) {
      const { sender, account, provider } = await accountOf(options, senderId);
      const remote = await provider.list(account).catch((error: unknown) => {
        throw toAppError(error);
      });
      const done = { added: 0, changed: 0, same: 0 };
      for (const template of remote) done[await adopt(options, sender, account.accountId, template)] += 1;
      return { found: remote.length, added: done.added, changed: done.changed };
    },

    preview: async (tenant, id, values) => previewOf(await get(tenant, id), values),

    async applyEvent(provider, event, senders) {
      const account = event.accountId ?? businessAccountId;
      if (account === undefined || (provider !== 'cloud' && provider !== 'twilio')) return;
      await adoptEvent(options, { provider, account }, event, senders);
    },

    async stoppedByAttempt(senderId, engineKey, status, reason) {
      const { account, provider } = await accountOf(options, senderId);
      const all = await store.ofAccount(provider.name, account.accountId);
      const found = all.find((template) => engineKeyOf(template) === engineKey);
      const changed = found === undefined ? null : await store.setState(found.id, { status, reason }, true);
      if (changed !== null) await tellEngine(options, changed, [senderId]);
    },

    async restoreHolds() {
      const stopped = await store.inStates(STOPPED_STATUSES);
      for (const template of stopped) await tellEngine(options, template);
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
