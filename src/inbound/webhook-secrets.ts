import { timingSafeEqual, createHash } from 'node:crypto';
import { AppError } from '../errors/app-error.ts';
import { createMemory, EVICTED, type Evictions } from '../messages/index.ts';
import type { Senders } from '../record/index.ts';

export interface SenderSecrets {
  readonly externalId: string;
  readonly appSecret: string | null;
  readonly verifyToken: string | null;
}

/** Secrets by which webhooks prove themselves: one of the settings, and those of senders that have their own. */
export interface WebhookSecrets {
  /** App secret of the settings. */
  readonly global: string | null;
  /** @throws AppError `NOT_FOUND` when there is no such sender */
  assertKnown(sender: string): Promise<void>;
  /** @throws AppError `NOT_FOUND` when there is no such sender */
  ofSender(sender: string): Promise<SenderSecrets>;
  /** By phone number id; null when it is none of ours. */
  ofExternalId(externalId: string): Promise<SenderSecrets | null>;
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
}

export function createWebhookSecrets(options: WebhookSecretsOptions): WebhookSecrets {
  const { senders } = options;
  // In memory, so that statuses come in while the record is away.
  const bySender = createMemory<SenderSecrets>();
  const byExternalId = createMemory<SenderSecrets>();
  options.evictions?.((evicted) => {
    const isSender = evicted.kind === 'keys' && evicted.names.some((name) => name.startsWith(EVICTED.sender));
    if (!isSender && evicted.kind !== 'all') return;
    // By number too: which one the sender had before is not told.
    for (const memory of [bySender, byExternalId]) memory.expire();
  });

  async function load(id: string): Promise<SenderSecrets | null> {
    const sender = await senders.getWithCredentials(id);
    if (sender === null) return null;
    const { appSecret, verifyToken } = sender.credentials;
    return { externalId: sender.externalId, appSecret: appSecret ?? null, verifyToken: verifyToken ?? null };
  }

  async function ofSender(id: string): Promise<SenderSecrets> {
    const found = await bySender.get(id, () => load(id));
    if (found === null) throw new AppError('NOT_FOUND', { detail: 'There is no such sender.' });
    return found;
  }

  return {
    global: options.appSecret ?? null,
    ofSender,
    async assertKnown(sender) {
      try {
        await ofSender(sender);
      } catch (error) {
        // With a secret of the settings the webhook can be judged without the record.
        const isAway = error instanceof AppError && error.code === 'RECORD_UNAVAILABLE';
        if (!isAway || options.appSecret === undefined) throw error;
      }
    },
    ofExternalId: (externalId) =>
      byExternalId.get(externalId, async () => {
        const sender = await senders.findByExternalId('cloud', externalId);
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
