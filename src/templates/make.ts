import { AppError } from '../errors/app-error.ts';
import { type RemoteTemplate, TemplateCallError } from '../providers/template-provider.ts';
import type { Exclusive, NewTemplateRecord, TemplateRecord, Templates } from '../record/index.ts';

/** Written before the provider is called: what is still a draft later was lost on the way. */
const DRAFT = 'DRAFT';

/**
 * Writes a draft, makes the template at its provider and writes down what it became.
 * @throws what `call` throws; AppError `CONFLICT` when it is being made right now, or is known already
 */
export async function makeTemplate(
  { store, exclusive }: { readonly store: Templates; readonly exclusive: Exclusive },
  template: Omit<NewTemplateRecord, 'status'>,
  call: () => Promise<RemoteTemplate>,
): Promise<TemplateRecord> {
  const { tenant, key, language, provider, account } = template;

  async function lostAttempt(): Promise<TemplateRecord | undefined> {
    const { items } = await store.list({ tenant, key, language, status: DRAFT });
    return items.find((item) => item.tenant === tenant && item.account === account);
  }

  /** The provider has it. Its webhook may have told more of it meanwhile. */
  async function made(id: string, remote: RemoteTemplate): Promise<TemplateRecord> {
    const { status, reason, category, components, providerId } = remote;
    const known =
      (await store.setState(id, { status, reason, category, components, providerId }, true, DRAFT)) ??
      (await store.setState(id, { category, components, providerId }, true));
    if (known === null) throw new AppError('NOT_FOUND');
    return known;
  }

  /**
   * A row of this call goes when the provider certainly made nothing; one that an earlier call left stays, because that
   * call may have made it.
   */
  async function notMade(id: string, isOwn: boolean, error: unknown): Promise<void> {
    // The record's own error: what the provider did is not in doubt.
    if (error instanceof AppError) return;
    const isLost = error instanceof TemplateCallError && error.kind === 'unknown';
    const reason = error instanceof Error ? error.message : String(error);
    if (isOwn && !isLost) await store.remove(id, DRAFT);
    else await store.setState(id, { reason }, false, DRAFT);
  }

  // A draft is what a lost attempt left, and also what an attempt under way shows: only a lock tells them apart.
  const lock = JSON.stringify(['template', provider, account, tenant, key, language]);
  return await exclusive.alone(lock, 0, async () => {
    const earlier = await lostAttempt();
    const { id } = earlier ?? (await store.add({ ...template, status: DRAFT }));
    try {
      return await made(id, await call());
    } catch (error) {
      await notMade(id, earlier === undefined, error);
      throw error;
    }
  });
}
