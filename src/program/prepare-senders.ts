import type { Logger } from 'pino';
import type { Config } from '../config/index.ts';
import type { RedisSendQueue } from '../engine/queue.ts';
import { senderLimits, settingsSenders } from '../messages/index.ts';
import type { NewSender, SenderRecord, WaxwingRecord } from '../record/index.ts';

/** The engine learns every sender's limits, so that waiting messages go on although nobody accepts new ones. */
export async function prepareSenders(
  config: Config,
  queue: Pick<RedisSendQueue, 'configureSender'>,
  record: WaxwingRecord,
  isRecordThere: boolean,
  log: Logger,
): Promise<void> {
  const own = settingsSenders(config);
  for (const sender of own) await queue.configureSender(senderLimits(sender));
  if (!isRecordThere) return;
  for (const sender of own) {
    warnOfChange(await record.senders.get(sender.id), sender, log);
    await record.senders.ensure(sender);
  }
  const { senders, unreadable } = await record.senders.all();
  for (const sender of senders) await queue.configureSender(senderLimits(sender));
  if (unreadable.length > 0) {
    log.error(
      { senders: unreadable },
      'credentials were sealed with another WAXWING_SECRET_KEY; these senders cannot send',
    );
  }
}

/** Where numbers and addresses stand: named, and not printed. */
const IDENTITY = ['provider', 'externalId', 'apiUrl', 'channel', 'portfolio'] as const;

/**
 * A sender of the settings has one row and one set of limits in the engine, for all processes: those of the process
 * that started last. Two processes with different settings would change them to and fro, and nobody would know why.
 */
function warnOfChange(before: SenderRecord | null, sender: NewSender, log: Logger): void {
  if (before === null) return;
  const were: Readonly<Record<string, unknown>> = { ...senderLimits(before) };
  const limits: Readonly<Record<string, unknown>> = { ...senderLimits(sender) };
  const changed = Object.keys(limits).filter((name) => name !== 'shard' && limits[name] !== were[name]);
  const others = IDENTITY.filter((name) => (sender[name] ?? null) !== before[name]);
  if (changed.length + others.length === 0) return;
  log.warn(
    {
      sender: sender.id,
      changed: Object.fromEntries(changed.map((name) => [name, { from: were[name], to: limits[name] }])),
      ...(others.length === 0 ? {} : { changedToo: others }),
    },
    'the settings of this process change a sender, for all processes: give all of them the same, or the last one to start decides',
  );
}
