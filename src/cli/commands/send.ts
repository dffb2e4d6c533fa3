import { defineCommand } from 'citty';
import { request } from 'undici';
import { resolveKeys } from '../../config/index.ts';
import { CommandError, settings } from '../settings.ts';
import { parseInteger } from './start.ts';
import { url } from '../common-args.ts';

export const send = defineCommand({
  meta: { name: 'send', description: 'Send one text message through a running program' },
  args: {
    to: { type: 'positional', description: 'Phone number, E.164: +4915112345678' },
    text: { type: 'positional', description: 'The text' },
    tenant: { type: 'string', description: 'Tenant (default: default)', valueHint: 'id' },
    conversation: { type: 'string', description: 'Conversation id', valueHint: 'id' },
    sender: { type: 'string', description: 'Sender id', valueHint: 'id' },
    priority: { type: 'string', description: '1 to 10, 10 first', valueHint: 'number' },
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
    const keys = await resolveKeys(config);
    const url = args.url ?? `http://${config.host}:${config.port}`;
    const body = {
      to: args.to,
      type: 'text',
      text: { body: args.text },
      ...(args.tenant === undefined ? {} : { tenant: args.tenant }),
      ...(args.conversation === undefined ? {} : { conversation: args.conversation }),
      ...(args.sender === undefined ? {} : { sender: args.sender }),
      ...(args.priority === undefined ? {} : { priority: parseInteger(args.priority, 'priority', 1, 10) }),
    };
    const answer = await post(`${url}/v1/messages`, keys.apiKey, body, parseInteger(args.wait, 'wait', 0, 30));
    if (args.json) console.log(JSON.stringify(answer));
    else console.log(`${answer.id}  ${answer.status}${answer.hold === null ? '' : `, waits for: ${answer.hold.kind}`}`);
  },
});

interface Answer {
  readonly id: string;
  readonly status: string;
  readonly hold: { readonly kind: string } | null;
}

async function post(url: string, apiKey: string, body: unknown, waitSeconds: number): Promise<Answer> {
  let response;
  try {
    response = await request(url, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${apiKey}`,
        'content-type': 'application/json',
        prefer: `wait=${waitSeconds}`,
      },
      body: JSON.stringify(body),
    });
  } catch (error) {
    throw new CommandError(`No program answers at ${url}. Start one with: npm start`, { cause: error });
  }
  const answer = (await response.body.json()) as Answer & { detail?: string; code?: string; field?: string };
  if (response.statusCode < 300) return answer;
  const field = answer.field === undefined ? '' : ` (field ${answer.field})`;
  throw new CommandError(`${answer.code ?? response.statusCode}: ${answer.detail ?? 'refused'}${field}`);
}
