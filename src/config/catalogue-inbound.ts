import { integer, text, toggle } from './setting.ts';

/** What comes in: webhooks, their processing, people. */
export const INBOUND_SETTINGS = {
  WHATSAPP_ASYNC_PROCESSING: toggle({
    area: 'inbound',
    default: true,
    doc: 'Answer a webhook when it is durable, and process it afterwards. false = process it before the answer; what fails is queued all the same.',
  }),
  WHATSAPP_QUEUE_BATCH_SIZE: integer({
    area: 'inbound',
    default: 10,
    min: 1,
    max: 1000,
    doc: 'Webhook jobs whose database work is joined into one statement, at most. WEBHOOK_QUEUE_CONCURRENCY bounds it too.',
  }),
  WHATSAPP_QUEUE_INTERVAL: integer({
    area: 'inbound',
    default: 100,
    min: 0,
    max: 10_000,
    unit: 'ms',
    doc: 'Longest wait of a webhook job for others to join it, under load; after a quiet time it goes at once.',
  }),
  INBOUND_USER_LIMIT_PER_MINUTE: integer({
    area: 'inbound',
    default: 20,
    min: 0,
    max: 100_000,
    doc: 'Messages of one person to one sender within a minute that are answered. More are kept and shown, but not answered. 0 = no limit.',
  }),
  INBOUND_DEFAULT_TENANT: text({
    area: 'inbound',
    default: 'default',
    pattern: { test: /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, words: 'the id of a tenant' },
    doc: 'Tenant of a message from somebody to whom no tenant has written, on a sender that tenants share.',
  }),
  RAW_WEBHOOK_DAYS: integer({
    area: 'inbound',
    default: 7,
    min: 0,
    max: 3650,
    unit: 'days',
    doc: 'How long webhooks are kept byte by byte, to be processed again. 0 = for ever.',
  }),
} as const;
