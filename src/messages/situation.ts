import type { Line, SenderLook } from '../engine/line.ts';
import type { AttemptTime } from './supply.ts';
import type { MessageView } from './view.ts';

/** What an explanation is made of. */
export interface Situation {
  readonly view: MessageView;
  readonly line: Line;
  readonly sender: SenderLook;
  readonly time: AttemptTime;
  readonly nowMs: number;
}

export interface Expected {
  readonly conversation: number;
  readonly tenant: number;
  readonly others: number;
  /** From now; null = nobody knows. */
  readonly inMs: number | null;
}
