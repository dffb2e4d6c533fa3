import { verifySignature } from '../providers/cloud/statuses.ts';
import { hasEvolutionJwt, hasEvolutionSecret } from '../providers/evolution/signature.ts';
import type { TwilioForm } from '../providers/twilio/signature.ts';
import { verifyTwilioSignature } from '../providers/twilio/signature.ts';
import type { SenderProvider } from '../record/index.ts';
import { formOf, parseBody, readWebhook } from './webhook-job.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

export interface WebhookRequest {
  readonly provider: SenderProvider;
  /** Our id of the sender, when the address names one. */
  readonly sender: string | undefined;
  /** The bytes exactly as they came: signatures cover them. */
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Path and query as they came. */
  readonly path: string;
}

/** Which senders a proof speaks for: all of its provider, or one because the secret belongs to that sender. */
export interface Authority {
  readonly externalId: string | null;
}

/** Senders that are looked up for one payload before its proof is known to be good; bounds a forger's effect. */
const SENDERS_LOOKED_UP_MAX = 5;

/** @returns null without a valid proof */
export async function authorityOf(
  request: WebhookRequest,
  secrets: WebhookSecrets,
  publicUrl: string | undefined,
): Promise<Authority | null> {
  const { provider, sender } = request;
  if (!hasProof(request)) return null;
  const isGood = proverOf(request, publicUrl);
  const global = secrets.global(provider);
  if (global !== null && isGood(global)) return { externalId: null };
  if (sender !== undefined) {
    const own = await secrets.ofSender(sender);
    return own.secret !== null && isGood(own.secret) ? { externalId: own.externalId } : null;
  }
  for (const externalId of namedSenders(request)) {
    const own = await secrets.ofExternalId(provider, externalId);
    if (own?.secret != null && isGood(own.secret)) return { externalId };
  }
  return null;
}

/** A missing proof is never good, and asking anybody about it would only cost. */
function hasProof(request: WebhookRequest): boolean {
  if (request.provider === 'cloud') return request.headers['x-hub-signature-256'] !== undefined;
  if (request.provider === 'twilio') return request.headers['x-twilio-signature'] !== undefined;
  return true;
}

function proverOf(request: WebhookRequest, publicUrl: string | undefined): (secret: string) => boolean {
  const { provider, body, headers } = request;
  if (provider === 'cloud') return (secret) => verifySignature(body, headers['x-hub-signature-256'], [secret]);
  if (provider === 'evolution') {
    const given = evolutionWords(request);
    return (secret) =>
      hasEvolutionSecret(given, [secret]) || hasEvolutionJwt(headers['authorization'], [secret], Date.now());
  }
  const text = body.toString('utf8');
  const form: TwilioForm | null = /^\s*[[{]/.test(text) ? null : formOf(text);
  return (secret) =>
    twilioUrls(request, publicUrl).some((url) =>
      verifyTwilioSignature({ url, form, rawBody: body }, headers['x-twilio-signature'], [secret]),
    );
}

/** Where Evolution's secret may stand: a static header, a segment of the path, or `?token=`. */
function evolutionWords({ headers, path }: WebhookRequest): (string | undefined)[] {
  const url = new URL(path, 'http://host');
  const segments = url.pathname.split('/').slice(4).map(decoded);
  const bearer = /^Bearer +(\S+)$/i.exec(headers['authorization'] ?? '')?.[1];
  return [
    headers['x-webhook-token'],
    headers['apikey'],
    bearer,
    url.searchParams.get('token') ?? undefined,
    ...segments,
  ];
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The address as Twilio called it: what the settings say, else what the request says, in either scheme. */
function twilioUrls({ headers, path }: WebhookRequest, publicUrl: string | undefined): string[] {
  if (publicUrl !== undefined) return [`${publicUrl}${path}`];
  const host = headers['x-forwarded-host'] ?? headers['host'];
  return host === undefined ? [] : [`https://${host}${path}`, `http://${host}${path}`];
}

/** Ids of senders that an unproved payload names. */
function namedSenders({ provider, body }: WebhookRequest): string[] {
  const named = new Set<string>();
  try {
    for (const event of readWebhook(provider, parseBody(provider, body, {}), 0).events) {
      const externalId =
        event.kind === 'message'
          ? event.message.externalSenderId
          : event.kind === 'status'
            ? event.status.externalSenderId
            : 'externalSenderId' in event
              ? event.externalSenderId
              : null;
      if (externalId !== null && externalId !== '') named.add(externalId);
      if (named.size >= SENDERS_LOOKED_UP_MAX) break;
    }
  } catch {
    // Not what the provider sends: no sender, so no secret, so refused.
  }
  return [...named];
}
