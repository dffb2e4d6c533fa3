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
/** A webhook may hold a sender in any process; each worker finds that out by itself. */
const LOOK_EVERY_MS = 60_000;

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
    resume: async (sender, heldFor) => {
      const paused = (await record.senders.get(sender))?.pausedReason ?? null;
      if (paused !== null) {
        // An attempt that was under way when a person paused it put its own reason in the place of theirs.
        await queue.pauseSender(sender, paused, { heldFor });
        return;
      }
      await queue.resumeSender(sender, { heldFor });
      log.info({ sender }, 'connection of the instance is open again: the sender goes on');
    },
  });
  const look = () =>
    void watchAll().catch(() => log.debug('senders could not be listed; held ones are looked for in a minute again'));
  look();
  const timer = setInterval(look, LOOK_EVERY_MS);
  timer.unref();

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
    stop: () => {
      clearInterval(timer);
      watch.stop();
    },
  };
}
