import { AppError } from '../errors/app-error.ts';
import type { SendQueue, StatusEvidence } from '../engine/contract.ts';
import type { ProviderStatus } from '../providers/contract.ts';
import { parseStatuses, splitWebhook, verifySignature } from '../providers/cloud/statuses.ts';
import { readTag, type TagKey } from '../providers/tag.ts';
import type { RawWebhooks } from '../record/index.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

export interface CloudWebhookOptions {
  readonly queue: Pick<SendQueue, 'statuses'>;
  readonly rawWebhooks: RawWebhooks;
  readonly secrets: WebhookSecrets;
  /** Key of the tags that came back with the statuses. */
  readonly tagKey: TagKey;
}

export interface WebhookRequest {
  /** Our id of the sender, when the address names one. */
  readonly sender: string | undefined;
  /** The bytes exactly as they came: the signature covers them. */
  readonly body: Buffer;
  readonly signature: string | undefined;
  readonly userAgent: string | undefined;
}

/** Webhooks of Meta's Cloud API. */
export interface CloudWebhook {
  /**
   * Checks the signature and keeps everything durably: statuses in the queue's event log, all else as it came.
   * Returns only then, so that a 200 means kept. Safe to repeat: Meta does.
   * @throws AppError `UNAUTHORIZED` without a valid signature, `NOT_FOUND` for an unknown sender, `REQUEST_NOT_JSON`,
   *   and `QUEUE_UNAVAILABLE` or `RECORD_UNAVAILABLE`, upon which Meta repeats the webhook for up to seven days
   */
  receive(request: WebhookRequest): Promise<void>;
  /** Is this the word that the operator typed into Meta's form. @throws AppError `NOT_FOUND` for an unknown sender */
  isVerifyToken(token: string, sender: string | undefined): Promise<boolean>;
}

/** Senders that are looked up for one payload before its signature is known to be good; bounds a forger's effect. */
const SENDERS_LOOKED_UP_MAX = 5;

/** Which senders a signature speaks for: all, or one provider id because the secret belongs to that sender. */
type Authority = { readonly externalId: string | null };

export function createCloudWebhook({ queue, rawWebhooks, secrets, tagKey }: CloudWebhookOptions): CloudWebhook {
  async function authorityOf({ sender, body, signature }: WebhookRequest): Promise<Authority | null> {
    // A missing signature is never good, and asking anybody about it would only cost.
    if (signature === undefined) return null;
    const { global } = secrets;
    if (global !== null && verifySignature(body, signature, [global])) return { externalId: null };
    if (sender !== undefined) {
      const own = await secrets.ofSender(sender);
      const isGood = own.appSecret !== null && verifySignature(body, signature, [own.appSecret]);
      return isGood ? { externalId: own.externalId } : null;
    }
    for (const externalId of namedSenders(body)) {
      const own = await secrets.ofExternalId(externalId);
      if (own?.appSecret != null && verifySignature(body, signature, [own.appSecret])) return { externalId };
    }
    return null;
  }

  return {
    async receive(request) {
      if (request.sender !== undefined) await secrets.assertKnown(request.sender);
      const authority = await authorityOf(request);
      if (authority === null) {
        throw new AppError('UNAUTHORIZED', {
          detail:
            'X-Hub-Signature-256 is missing or does not match the body. Set WHATSAPP_APP_SECRET (or appSecret in the credentials of the sender) to the app secret.',
        });
      }
      const payload = parseJson(request.body);
      // A secret of one sender proves nothing about the others.
      const isCovered = (externalId: string) => authority.externalId === null || authority.externalId === externalId;
      const items = [...splitWebhook(payload)].filter((item) => isCovered(item.externalSenderId));
      const statuses = parseStatuses(payload).filter((status) => isCovered(status.externalSenderId));
      if (statuses.length > 0) await queue.statuses(statuses.map((status) => evidenceOf(status, tagKey)));
      // What is not a status that we could read is kept whole: nothing that Meta told is lost for want of a parser.
      const isAllRead = items.length > 0 && statuses.length === items.length;
      if (!isAllRead) {
        await rawWebhooks.add({
          provider: 'cloud',
          sender: request.sender ?? null,
          headers: request.userAgent === undefined ? {} : { 'user-agent': request.userAgent },
          body: request.body,
          receivedAtMs: Date.now(),
          covers: authority.externalId,
        });
      }
    },

    isVerifyToken: (token, sender) => secrets.isVerifyToken(token, sender),
  };
}

function evidenceOf(status: ProviderStatus, tagKey: TagKey): StatusEvidence {
  const tag = status.tag === null ? null : readTag(status.tag, tagKey);
  return {
    messageId: tag?.messageId ?? '',
    attempt: tag?.attempt ?? null,
    ...(tag?.entry === undefined ? {} : { entry: tag.entry }),
    providerMessageId: status.providerMessageId,
    status: status.status,
    providerAtMs: status.atMs,
    error: status.error,
    ...(status.laterRetry === undefined ? {} : { laterRetry: status.laterRetry }),
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch (error) {
    throw new AppError('REQUEST_NOT_JSON', { cause: error });
  }
}

/** Phone number ids that an unverified payload names. */
function namedSenders(body: Buffer): string[] {
  const named = new Set<string>();
  try {
    for (const { externalSenderId } of splitWebhook(parseJson(body))) {
      if (externalSenderId !== '') named.add(externalSenderId);
      if (named.size >= SENDERS_LOOKED_UP_MAX) break;
    }
  } catch {
    // Not JSON: no sender, so no secret, so refused.
  }
  return [...named];
}
