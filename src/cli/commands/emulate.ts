import { defineCommand } from 'citty';
import { type Emulator, startEmulator } from '../../emulator/index.ts';
import { untilSignal } from '../until-signal.ts';
import { parseInteger } from './start.ts';

export const emulate = defineCommand({
  meta: {
    name: 'emulate',
    description: 'Run a WhatsApp Cloud API on this machine: same requests, limits, errors and webhooks',
  },
  args: {
    port: { type: 'string', default: '4010', description: 'Port; 0 = any free one', valueHint: 'number' },
    'webhook-url': { type: 'string', description: 'Where statuses and messages of customers go', valueHint: 'address' },
    'app-secret': { type: 'string', description: 'Signs the webhooks', valueHint: 'secret' },
    'verify-token': { type: 'string', description: 'For the verification call', valueHint: 'word' },
    'access-token': {
      type: 'string',
      description: 'The only token that is accepted (without it: any)',
      valueHint: 'token',
    },
    ledger: {
      type: 'string',
      description: 'File that keeps every request, fsynced before the answer',
      valueHint: 'file',
    },
    json: { type: 'boolean', description: 'Print the addresses as one JSON line' },
  },
  async run({ args }) {
    const emulator = await startEmulator({
      port: parseInteger(args.port, 'port', 0, 65535),
      ...(args['webhook-url'] === undefined ? {} : { webhookUrl: args['webhook-url'] }),
      ...(args['app-secret'] === undefined ? {} : { appSecret: args['app-secret'] }),
      ...(args['verify-token'] === undefined ? {} : { verifyToken: args['verify-token'] }),
      ...(args['access-token'] === undefined ? {} : { accessToken: args['access-token'] }),
      ...(args.ledger === undefined ? {} : { ledgerFile: args.ledger }),
    });
    console.log(args.json ? JSON.stringify({ url: emulator.url, apiUrl: emulator.apiUrl }) : welcome(emulator));
    await untilSignal();
    await emulator.stop();
  },
});

function welcome(emulator: Emulator): string {
  return [
    `The emulator of the WhatsApp Cloud API is ready: ${emulator.url}`,
    `  use it as   WHATSAPP_API_URL=${emulator.apiUrl}`,
    `  control     ${emulator.url}/_emulator`,
  ].join('\n');
}
