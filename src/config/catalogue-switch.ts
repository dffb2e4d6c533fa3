import { choice, decimal, text, toggle } from './setting.ts';

/** Who sends through the queue, and what happens without it. For the short form and the functions. */
export const SWITCH_SETTINGS = {
  WHATSAPP_SEND_QUEUE_ENABLED: toggle({
    area: 'switch',
    default: true,
    doc: 'false = POST /api/whatsapp/send and the functions send directly, for every tenant. What is queued still goes.',
  }),
  WHATSAPP_SEND_QUEUE_PERCENT: decimal({
    area: 'switch',
    default: 100,
    min: 0,
    max: 100,
    unit: 'percent',
    doc: 'Share of the tenants that send through the queue, by a stable hash of their id. A tenant with `queueEnabled` of its own follows that.',
  }),
  WHATSAPP_SEND_FALLBACK: choice({
    area: 'switch',
    default: 'direct',
    choices: ['direct', 'reject'],
    doc: 'While the queue cannot be reached: send directly, or answer 503. /v1 always answers 503.',
  }),
  WHATSAPP_SEND_QUEUE_NAME: text({
    area: 'switch',
    default: 'whatsapp-send',
    doc: 'Name under which the send queue is shown, paused and counted.',
  }),
} as const;
