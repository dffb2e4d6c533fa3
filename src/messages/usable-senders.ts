import type { SenderRecord } from '../record/types.ts';
import type { SenderStore } from './ports.ts';

const PAGE_SIZE = 200;

/** Every sender that a tenant may use, its own and the shared ones, oldest first. */
export async function* usableSenders(
  store: Pick<SenderStore, 'list'>,
  tenant: string,
): AsyncGenerator<SenderRecord, void> {
  let cursor: string | undefined;
  do {
    const page = await store.list({ usableBy: tenant, cursor, limit: PAGE_SIZE });
    yield* page.items;
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
}

/** The tenant's own sender, the oldest of several; null when it has none. */
export async function oldestOwned(store: Pick<SenderStore, 'list'>, tenant: string): Promise<SenderRecord | null> {
  for await (const sender of usableSenders(store, tenant)) {
    if (sender.tenant === tenant) return sender;
  }
  return null;
}
