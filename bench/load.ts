import type { MessageBody } from '../src/model/message.ts';

/** The same messages for every contestant. */
export interface LoadMessage {
  readonly index: number;
  readonly tenant: string;
  readonly conversation: string;
  readonly body: MessageBody;
}

export interface LoadShape {
  readonly conversations: number;
  readonly tenants: number;
  /** Messages that one conversation gets in a row before the next has its turn. Default 1. */
  readonly run?: number;
}

/** A message of about 200 bytes as JSON. */
export function loadMessage(index: number, { conversations, tenants, run = 1 }: LoadShape): LoadMessage {
  const conversation = Math.floor(index / run) % conversations;
  return {
    index,
    tenant: `t${conversation % tenants}`,
    conversation: `c${conversation}`,
    body: {
      to: contactOf(conversation),
      type: 'text',
      content: { body: 'Your table for two is booked for Friday at 19:30. Reply 1 to confirm, 2 to change.' },
      metadata: { booking: index },
    },
  };
}

export function contactOf(conversation: number): string {
  return `+4915${String(100_000_000 + conversation)}`;
}

/** Runs `task` for each index from `from` to `from + count - 1`, `atOnce` of them at any time. */
export async function atOnce(
  count: number,
  places: number,
  task: (index: number) => Promise<unknown>,
  from = 0,
): Promise<void> {
  let next = from;
  const end = from + count;
  const place = async (): Promise<void> => {
    while (next < end) {
      const index = next;
      next += 1;
      await task(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(places, count) }, place));
}
