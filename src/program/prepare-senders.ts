import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { senderLimits, settingsSenders } from '../messages/index.ts';
import type { WaxwingRecord } from '../record/index.ts';

/** The engine learns every sender's limits, so that waiting messages go on although nobody accepts new ones. */
export async function prepareSenders(
  config: Config,
  queue: RedisSendQueue,
  record: WaxwingRecord,
  isRecordThere: boolean,
  log: Logger,
): Promise<void> {
  const own = settingsSenders(config);
  for (const sender of own) await queue.configureSender(senderLimits(sender));
  if (!isRecordThere) return;
  for (const sender of own) await record.senders.ensure(sender);
  const { senders, unreadable } = await record.senders.all();
  for (const sender of senders) await queue.configureSender(senderLimits(sender));
  if (unreadable.length > 0) {
    log.error(
      { senders: unreadable },
      'credentials were sealed with another WAXWING_SECRET_KEY; these senders cannot send',
    );
  }
}
