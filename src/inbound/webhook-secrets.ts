import { createHash, timingSafeEqual } from 'node:crypto';
import { AppError, hasCode } from '../errors/app-error.ts';
import { createMemory, type Evictions, followSenders } from '../messages/index.ts';
import type { SenderProvider, Senders } from '../record/index.ts';

/** What a webhook of one sender proves itself with. */
export interface SenderSecrets {
  readonly provider: SenderProvider;
  readonly externalId: string;
  /** Cloud API: `appSecret`. Evolution: `webhookToken`. Twilio: `authToken`. */
  readonly secret: string | null;
  /** Cloud API: the word of the verification call. */
  readonly verifyToken: string | null;
}

/** Secrets by which webhooks prove themselves: those of the settings, and those of senders that have their own. */
export interface WebhookSecrets {
  /** Of the settings: it speaks for every sender of the provider. */
  global(provider: SenderProvider): string | null;
  /** @throws AppError `NOT_FOUND` when there is no such sender of this provider */
  assertKnown(provider: SenderProvider, sender: string): Promise<void>;
  /** @throws AppError `NOT_FOUND` when there is no such sender */
  ofSender(sender: string): Promise<SenderSecrets>;
  /** By the provider's own id; null when it is none of ours. */
  ofExternalId(provider: SenderProvider, externalId: string): Promise<SenderSecrets | null>;
  isVerifyToken(token: string, sender: string | undefined): Promise<boolean>;
}

export interface WebhookSecretsOptions {
  readonly senders: Pick<Senders, 'getWithCredentials' | 'findByExternalId'>;
  /** WHATSAPP_APP_SECRET. */
  readonly appSecret: string | undefined;
  /** WHATSAPP_VERIFY_TOKEN. */
  readonly verifyToken: string | undefined;
  /** New secrets count at once in every process; without, within seconds. */
  readonly evictions?: Evictions | undefined;
  /** EVOLUTION_WEBHOOK_TOKEN. */
  readonly evolutionToken?: string | undefined;
  /** TWILIO_AUTH_TOKEN. */
  readonly twilioAuthToken?: string | undefined;
}

/** Name of the secret among a sender's credentials. */
const CREDENTIAL: Readonly<Record<SenderProvider, string>> = {
  cloud: 'appSecret',
  evolution: 'webhookToken',
  twilio: 'authToken',
};

export function createWebhookSecrets(options: WebhookSecretsOptions): WebhookSecrets {
  const { senders } = options;
  // In memory, so that webhooks come in while the record is away.
  const bySender = createMemory<SenderSecrets>();
  const byExternalId = createMemory<SenderSecrets>();
  followSenders([bySender, byExternalId], options.evictions);
  const globals: Readonly<Record<SenderProvider, string | undefined>> = {
    cloud: options.appSecret,
    evolution: options.evolutionToken,
    twilio: options.twilioAuthToken,
  };
  const global = (provider: SenderProvider) => globals[provider] ?? null;

  async function load(id: string): Promise<SenderSecrets | null> {
    const sender = await senders.getWithCredentials(id);
    if (sender === null) return null;
    const { provider, externalId, credentials } = sender;
    const secret = credentials[CREDENTIAL[provider]] ?? null;
    return { provider, externalId, secret, verifyToken: credentials['verifyToken'] ?? null };
  }

  async function ofSender(id: string): Promise<SenderSecrets> {
    const found = await bySender.get(id, () => load(id));
    if (found === null) throw new AppError('NOT_FOUND', { detail: 'There is no such sender.' });
    return found;
  }

  return {
    global,
    ofSender,
    async assertKnown(provider, sender) {
      try {
        const found = await ofSender(sender);
        if (found.provider === provider) return;
      } catch (error) {
        // With a secret of the settings the webhook can be judged without the record.
        const isAway = hasCode(error, 'RECORD_UNAVAILABLE');
        if (isAway && global(provider) !== null) return;
        throw error;
      }
      throw new AppError('NOT_FOUND', { detail: `There is no such sender of ${provider}.` });
    },
    ofExternalId: (provider, externalId) =>
      byExternalId.get(`${provider}\n${externalId}`, async () => {
        const sender = await senders.findByExternalId(provider, externalId);
        return sender === null ? null : load(sender.id);
      }),
    async isVerifyToken(token, sender) {
      const own = sender === undefined ? null : (await ofSender(sender)).verifyToken;
      return [own, options.verifyToken ?? null].some((expected) => expected !== null && isEqual(token, expected));
    },
  };
}

function isEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
