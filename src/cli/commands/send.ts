import { defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import { addressOf, ask } from '../running.ts';
import { settings } from '../settings.ts';
import { parseInteger } from './start.ts';
import { url } from '../common-args.ts';

export const send = defineCommand({
  meta: { name: 'send', description: 'Send one text message through a running program' },
  args: {
    to: { type: 'positional', description: 'Phone number, E.164: +4915112345678' },
    text: { type: 'positional', description: 'The text' },
    tenant: { type: 'string', description: 'Tenant that sends (without it: default)', valueHint: 'id' },
    conversation: {
      type: 'string',
      description: 'Conversation whose order it keeps (without it: that of the recipient)',
      valueHint: 'id',
    },
    sender: {
      type: 'string',
      description: "Number that sends (without it: the tenant's own, else default)",
      valueHint: 'id',
    },
    priority: { type: 'string', description: '1 to 10, 10 first (without it: 5)', valueHint: 'number' },
    wait: {
      type: 'string',
      default: '5',
      description: 'Seconds to wait until it is sent, 0 to 30',
      valueHint: 'seconds',
    },
    url,
    json: { type: 'boolean', description: 'Print the whole message as JSON' },
  },
  async run({ args }) {
    const config = settings();
    const body = {
      to: args.to,
      type: 'text',
      text: { body: args.text },
      ...(args.tenant === undefined ? {} : { tenant: args.tenant }),
      ...(args.conversation === undefined ? {} : { conversation: args.conversation }),
      ...(args.sender === undefined ? {} : { sender: args.sender }),
      ...(args.priority === undefined ? {} : { priority: parseInteger(args.priority, 'priority', 1, 10) }),
    };
    const headers = { prefer: `wait=${parseInteger(args.wait, 'wait', 0, 30)}` };
    const address = addressOf(config, args.url);
    const running = { url: address, credential: (await resolveKeys(config)).apiKey };
    const answer = await ask<Answer>(running, { method: 'POST', path: '/v1/messages', headers, body });
    if (args.json) console.log(JSON.stringify(answer));
    else console.log(`${answer.id}  ${answer.status}${answer.hold === null ? '' : `, waits for: ${answer.hold.kind}`}`);
  },
});

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly hold: { readonly kind: string } | null;
}
