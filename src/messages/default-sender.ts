import type { Config } from '../config/index.ts';
import type { NewSender } from '../record/index.ts';
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

export function senderDefaults(config: Config): SenderDefaults {
  return {
    apiUrl: config.whatsappApiUrl,
    ratePerSecond: config.senderRatePerSecond,
    burst: config.senderBurst,
    concurrency: config.senderConcurrency,
    pairGapMs: config.whatsappRateLimitMs,
    pairBucketCapacity: config.pairBucketCapacity,
    pairBucketRefillPerSecond: config.pairBucketRefillPerSecond,
  };
}

/**
 * The sender `default` that the settings describe, for `record.senders.ensure()`; null without WHATSAPP_PHONE_NUMBER_ID.
 * Shared by all tenants; in shard 0, which exists whatever SHARDS is.
 */
export function settingsSender(config: Config): NewSender | null {
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
