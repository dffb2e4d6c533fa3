import type { Lane } from '../model/message.ts';

/** Lanes as the scripts key them: `sender|tenant|conversation`. Sender and tenant ids never hold a `|`. */
export function packLane(lane: Lane): string {
  return `${lane.sender}|${lane.tenant}|${lane.conversation}`;
}

export function unpackLane(text: string): Lane {
  const first = text.indexOf('|');
  const second = text.indexOf('|', first + 1);
  return {
    sender: text.slice(0, first),
    tenant: text.slice(first + 1, second),
    conversation: text.slice(second + 1),
  };
}
