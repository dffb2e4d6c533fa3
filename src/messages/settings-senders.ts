import type { Config } from '../config/index.ts';
import type { NewSender } from '../record/index.ts';
import { withoutPrefix as twilioSenderId } from '../providers/twilio/addresses.ts';
import type { SenderProvider } from '../record/types.ts';
import { DEFAULT_SENDER } from './shard.ts';

/** Limits that a sender has when nothing else is said. */
export type SenderDefaults = Pick<
  NewSender,
  | 'apiUrl'
  | 'ratePerSecond'
  | 'burst'
  | 'concurrency'
  | 'pairGapMs'
  | 'pairBucketCapacity'
  | 'pairBucketRefillPerSecond'
>;

/** What a new sender of a provider has when nothing else is said; an empty `apiUrl` must be given. */
export function senderDefaults(config: Config, provider: SenderProvider = 'cloud'): SenderDefaults {
  return {
    apiUrl: apiUrlOf(config, provider),
    ratePerSecond: provider === 'evolution' ? config.waTokensPerSecond : config.senderRatePerSecond,
    burst: provider === 'evolution' ? config.waBucketCapacity : config.senderBurst,
    concurrency: config.senderConcurrency,
    pairGapMs: config.whatsappRateLimitMs,
    pairBucketCapacity: config.pairBucketCapacity,
    pairBucketRefillPerSecond: config.pairBucketRefillPerSecond,
  };
}

function apiUrlOf(config: Config, provider: SenderProvider): string {
  if (provider === 'evolution') return config.evolutionServerUrl ?? '';
  return provider === 'twilio' ? config.twilioApiUrl : config.whatsappApiUrl;
}

/**
 * The senders that the settings describe, for `record.senders.ensure()`: `default` (Cloud API), `evolution`, `twilio`,
 * each when its settings are there. Shared by all tenants; in shard 0, which exists whatever SHARDS is.
 */
export function settingsSenders(config: Config): NewSender[] {
  return [cloudSender(config), evolutionSender(config), twilioSender(config)].filter((sender) => sender !== null);
}

function cloudSender(config: Config): NewSender | null {
  const { whatsappPhoneNumberId, whatsappAccessToken, whatsappAppSecret, whatsappVerifyToken } = config;
  if (whatsappPhoneNumberId === undefined || whatsappAccessToken === undefined) return null;
  return {
    id: DEFAULT_SENDER,
    tenant: null,
    provider: 'cloud',
    externalId: whatsappPhoneNumberId,
    ...senderDefaults(config),
    credentials: {
      accessToken: whatsappAccessToken,
      ...(whatsappAppSecret === undefined ? {} : { appSecret: whatsappAppSecret }),
      ...(whatsappVerifyToken === undefined ? {} : { verifyToken: whatsappVerifyToken }),
    },
    portfolio: config.whatsappBusinessAccountId ?? null,
    shard: 0,
  };
}

function evolutionSender(config: Config): NewSender | null {
  const { evolutionServerUrl, evolutionApiKey, evolutionInstance, evolutionWebhookToken } = config;
  if (evolutionServerUrl === undefined || evolutionApiKey === undefined || evolutionInstance === undefined) return null;
  return {
    id: 'evolution',
    tenant: null,
    provider: 'evolution',
    externalId: evolutionInstance,
    channel: config.evolutionChannel,
    ...senderDefaults(config, 'evolution'),
    credentials: {
      apiKey: evolutionApiKey,
      ...(evolutionWebhookToken === undefined ? {} : { webhookToken: evolutionWebhookToken }),
    },
    shard: 0,
  };
}

function twilioSender(config: Config): NewSender | null {
  const { twilioAccountSid, twilioAuthToken, twilioFrom } = config;
  if (twilioAccountSid === undefined || twilioAuthToken === undefined || twilioFrom === undefined) return null;
  return {
    id: 'twilio',
    tenant: null,
    provider: 'twilio',
    externalId: twilioSenderId(twilioFrom),
    ...senderDefaults(config, 'twilio'),
    credentials: { accountSid: twilioAccountSid, authToken: twilioAuthToken },
    shard: 0,
  };
}
