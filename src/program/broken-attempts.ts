import type { Logger } from 'pino';
import type { Grant } from '../engine/contract.ts';

/** Tells of a mistake of the program over a message. The frames only: what an error says could hold the person's words. */
export function logBroken(log: Logger): (grant: Grant, error: unknown) => void {
  return ({ messageId, attempt }, error) => {
    const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter((line) => /^ +at /.test(line)) : [];
    log.error(
      { messageId, attempt, error: error instanceof Error ? error.name : typeof error, frames },
      'an attempt broke',
    );
  };
}
