import type { Logger } from 'pino';
import type { SettleRequest } from '../engine/contract.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import type { EvolutionProvider } from '../providers/evolution/provider.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ReadAccount } from '../worker/accounts.ts';
import { ConnectionWatch } from '../worker/connection-watch.ts';

interface Parts {
  readonly queue: RedisSendQueue;
  readonly record: WaxwingRecord;
  readonly evolution: EvolutionProvider;
  readonly readAccount: ReadAccount;
  readonly log: Logger;
}

const PAGE = 200;

/** Brings Evolution senders back that were held because their connection was down, also from before this start. */
export function watchConnections({ queue, record, evolution, readAccount, log }: Parts): {
  settled(request: SettleRequest): void;
  stop(): void;
} {
  const watch = new ConnectionWatch({
    pauseReason: (sender) => queue.pauseReason(sender),
    connectionState: async (sender) => {
      const account = await readAccount(sender);
      return account?.provider === 'evolution' ? await evolution.connectionState(account) : null;
    },
    resume: async (sender) => {
      await queue.resumeSender(sender);
      log.info({ sender }, 'connection of the instance is open again: the sender goes on');
    },
  });
  void watchAll().catch(() => log.debug('senders could not be listed; held ones are watched from their next error on'));

  async function watchAll(): Promise<void> {
    let cursor: string | undefined;
    do {
      const page = await record.senders.list({ cursor, limit: PAGE });
      for (const sender of page.items) if (sender.provider === 'evolution') watch.add(sender.id);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
  }

  return {
    settled: ({ grant, settlement, report }) => {
      const brake = settlement.kind === 'retry' ? settlement.brake : undefined;
      if (brake?.on === 'sender' && ConnectionWatch.concerns(report?.error?.providerCode)) watch.add(grant.lane.sender);
    },
    stop: () => watch.stop(),
  };
}
