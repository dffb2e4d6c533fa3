import { defineCommand } from 'citty';
import { resolveKeys } from '../../config/index.ts';
import type { Explanation } from '../../messages/index.ts';
import { addressOf, ask } from '../running.ts';
import { settings } from '../settings.ts';
import { json, url } from '../common-args.ts';

export const explain = defineCommand({
  meta: { name: 'explain', description: 'Say why a message is where it is, and when it will probably go' },
  args: {
    id: { type: 'positional', description: 'Id of the message' },
    url,
    json,
  },
  async run({ args }) {
    const config = settings();
    const { apiKey } = await resolveKeys(config);
    const running = { url: addressOf(config, args.url), credential: apiKey };
    const found = await ask<Explanation>(running, {
      path: `/v1/messages/${encodeURIComponent(args.id ?? '')}/explain`,
    });
    console.log(args.json ? JSON.stringify(found) : report(found));
  },
});

function report({ status, hold, endsWhen, sentence, position, ahead, expectedAt }: Explanation): string {
  const { conversation, tenant, sender } = ahead;
  const lines: [string, string | null][] = [
    ['status', status],
    ['hold', hold === null ? null : `${hold.kind}${hold.until === null ? '' : ` until ${hold.until}`}`],
    ['ends when', endsWhen],
    ['position', position === null ? null : `${position} in its conversation`],
    [
      'ahead',
      conversation + tenant + sender === 0
        ? null
        : `${conversation} of its conversation, ${tenant} of its tenant, ${sender} of other tenants`,
    ],
    ['expected', expectedAt],
  ];
  const shown = lines.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(10)} ${value}`]));
  return [sentence, ...shown].join('\n');
}
