import type { Config } from '../config/index.ts';
import type { WaxwingRecord } from '../record/index.ts';
import type { ReadWindow } from '../worker/windows.ts';

/** How an attempt learns of closed windows; undefined with ON_WINDOW_CLOSED=send, where the provider decides. */
export function readWindowOf(
  config: Pick<Config, 'onWindowClosed'>,
  { conversations }: Pick<WaxwingRecord, 'conversations'>,
): ReadWindow | undefined {
  return config.onWindowClosed === 'fail' ? (person) => conversations.windowOf(person) : undefined;
}
