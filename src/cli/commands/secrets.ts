import { defineCommand } from 'citty';
import { replaceSecretKey } from '../../config/index.ts';
import { findRunning } from '../../embedded/index.ts';
import type { Resealed } from '../../record/index.ts';
import { CommandError, settings } from '../settings.ts';
import { commandActor, withRecord } from '../with-record.ts';
import { json } from '../common-args.ts';

/** Previous keys that stay in the data folder: they still read the tags of messages that are on their way. */
const KEEP = 5;

const rotate = defineCommand({
  meta: {
    name: 'rotate',
    description: 'Seal all stored secrets with the current WAXWING_SECRET_KEY, or with a new one where it was made',
  },
  args: {
    json,
    stopped: { type: 'boolean', description: 'All programs are stopped; asked for where that cannot be seen' },
  },
  async run({ args }) {
    const config = settings();
    const isMade = config.waxwingSecretKey === undefined;
    if (isMade) {
      const { redisUrl, databaseUrl } = findRunning(config.waxwingDataDir);
      const isRedisGiven = config.queueRedisUrl !== undefined || config.queueServers !== undefined;
      if (isRedisGiven && config.databaseUrl !== undefined && args.stopped !== true) {
        throw new CommandError(
          'The key was made, and programs that run know the old one only: stop them and say --stopped, or put the key into WAXWING_SECRET_KEY and rotate it there (docs/security.md).',
        );
      }
      if (redisUrl !== undefined || databaseUrl !== undefined) {
        throw new CommandError(
          'A program runs on this data folder and knows the old key only: stop it, rotate, and start it again.',
        );
      }
      await replaceSecretKey(config.waxwingDataDir, { keep: KEEP });
    }
    const result = await withRecord(async (record) => {
      const done = await record.sealed.rotate();
      const { resealed, current } = done;
      const detail = { resealed, current, unreadable: done.unreadable.length };
      await record.audit.add({ actor: commandActor(), action: 'secrets.rotate', target: 'all', detail });
      return done;
    });
    console.log(args.json ? JSON.stringify(result) : report(result, isMade));
    return result.unreadable.length === 0 ? 0 : 1;
  },
});

export const secrets = defineCommand({
  meta: { name: 'secrets', description: 'Stored credentials and the key that seals them' },
  subCommands: { rotate },
});

function report({ resealed, current, unreadable }: Resealed, isMade: boolean): string {
  const lines = [`Sealed anew: ${resealed}. Already sealed with the current key: ${current}.`];
  if (unreadable.length > 0) {
    lines.push(
      `No key at hand opens ${unreadable.length}: ${unreadable.join(', ')}.`,
      'Put the key that sealed them into WAXWING_SECRET_KEY_PREVIOUS and run this again, or enter these secrets anew.',
    );
  } else if (!isMade) {
    lines.push('WAXWING_SECRET_KEY_PREVIOUS can be left out at the next start.');
  }
  return lines.join('\n');
}
