import { expect, test } from 'vitest';
import { cloudBody, cloudMessage } from './support/cloud.ts';
import { roomOfFile } from './support/room.ts';

const { room } = await roomOfFile({ works: false });

test('P10 · what stops a sender goes before refusals, these before what people write, all before the rest', async () => {
  const preferences = [
    { wa_id: '4915112345678', category: 'marketing_messages', value: 'stop', timestamp: '1700000000' },
  ];
  const template = {
    event: 'PAUSED',
    message_template_id: 1,
    message_template_name: 'offer',
    message_template_language: 'en',
  };
  const webhooks = {
    unknown: cloudBody({ anything: true }, '', 'brand_new_field'),
    template: cloudBody(template, '', 'message_template_status_update'),
    message: cloudBody({ messages: [cloudMessage()] }),
    refusal: cloudBody({ user_preferences: preferences }, '100200300', 'user_preferences'),
    restriction: cloudBody({ event: 'DISABLED_UPDATE', ban_info: { waba_ban_state: 'DISABLE' } }, '', 'account_update'),
  };
  for (const body of Object.values(webhooks)) await room.post(body);
  const jobs = await room.queues.bullQueue('webhook').getPrioritized();
  const nameOf = (payload: unknown) => Object.entries(webhooks).find(([, body]) => body === payload)?.[0];
  expect(jobs.map(({ data }) => nameOf((data as { payload: unknown }).payload))).toEqual([
    'restriction',
    'refusal',
    'message',
    'unknown',
    'template',
  ]);
});
