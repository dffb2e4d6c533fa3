import type { Responder } from '../../inbound/index.ts';

const ANSWERS: readonly (readonly [RegExp, string])[] = [
  [/\b(hi|hello|hey|good (morning|evening))\b/i, 'Hello{name}! What can we do for you?'],
  [/\b(book|table|appointment|slot|free)\b/i, 'Tomorrow at 10:30 is free{name}. Reply 1 to take it.'],
  [/^\s*1\s*$/, 'Done{name}: you are booked for tomorrow at 10:30.'],
  [/\b(price|cost|how much)\b/i, 'A cut is 35, colour is from 60{name}.'],
  [/\b(thanks|thank you|bye)\b/i, 'You are welcome{name}. See you soon!'],
];

/** Answers a customer of the demo: open the emulator's page and write as one. */
export const demoResponder: Responder = ({ message, contact, history }) => {
  const { text } = message as { text?: { body?: string } };
  const said = text?.body ?? '';
  const found = ANSWERS.find(([pattern]) => pattern.test(said))?.[1];
  const fallback =
    text === undefined
      ? `Thank you for the ${message.type}{name}. We will look at it.`
      : `Thank you{name}, we have ${history.length + 1} messages in this chat now. Ask us for a table or a price.`;
  const name = contact.name === null ? '' : `, ${contact.name}`;
  return Promise.resolve([{ type: 'text', text: { body: (found ?? fallback).replace('{name}', name) } }]);
};
