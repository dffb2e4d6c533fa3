export { createCloudWebhook, type CloudWebhook, type CloudWebhookOptions } from './cloud-webhook.ts';
export { createWebhookSecrets, type WebhookSecrets } from './webhook-secrets.ts';
