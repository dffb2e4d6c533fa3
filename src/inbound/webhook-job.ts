import { isUtf8 } from 'node:buffer';
import { JobImpossible, type WebhookJobData } from '../jobs/index.ts';
import { isSenderProvider } from '../model/provider.ts';
import { cloudReader } from '../providers/cloud/reader.ts';
import type { ReadWebhook, WebhookReader } from '../providers/events.ts';
import { evolutionReader } from '../providers/evolution/reader.ts';
import { withCallbackTag } from '../providers/twilio/callback.ts';
import { twilioReader } from '../providers/twilio/reader.ts';
import type { SenderProvider, WebhookBytes } from '../record/index.ts';
import { isId, newId } from '../util/ids.ts';

/** What a webhook's job carries beyond what any caller of the queue gives. */
export interface KeptWebhookJob extends WebhookJobData {
  /** `payload` is the body as text, or as base64 when it is no UTF-8. */
  readonly encoding: 'utf8' | 'base64';
  readonly headers: Readonly<Record<string, string>>;
  /** The only provider id that the signature speaks for; null = all. */
  readonly covers: string | null;
  /** Its statuses are in the event log already. */
  readonly hasStatuses: boolean;
  /** A person asked for it again: only what is new has effects. */
  readonly isReplay: boolean;
  /** The webhook that it is about; absent = the job's id is the webhook's. */
  readonly webhookId?: string;
}

const READERS: Readonly<Record<SenderProvider, WebhookReader>> = {
  cloud: cloudReader,
  evolution: evolutionReader,
  twilio: twilioReader,
};

/** Header under which the address of a Twilio webhook is kept: its query carries our tag. */
export const QUERY_HEADER = 'x-waxwing-query';

/** Fields of a form; a field that came several times has a list. */
export function formOf(body: string): Record<string, string | string[]> {
  const form: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of new URLSearchParams(body)) {
    const known = form[name];
    form[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return form;
}

/** The body as its provider's reader takes it. @throws SyntaxError when it is not what the provider sends */
export function parseBody(provider: SenderProvider, body: Buffer, headers: Readonly<Record<string, string>>): unknown {
  const text = body.toString('utf8');
  const isForm = provider === 'twilio' && !/^\s*[[{]/.test(text);
  if (!isForm) return JSON.parse(text) as unknown;
  return withCallbackTag(formOf(text), Object.fromEntries(new URLSearchParams(headers[QUERY_HEADER] ?? '')));
}

export function readWebhook(provider: SenderProvider, parsed: unknown, receivedAtMs: number): ReadWebhook {
  return READERS[provider].read(parsed, receivedAtMs);
}

/** A webhook whose provider is known by name. */
export type NamedWebhook = WebhookBytes & { readonly provider: SenderProvider };

/** @throws JobImpossible when the body is not what its provider sends */
export function readBytes({ provider, body, headers, receivedAtMs }: NamedWebhook): ReadWebhook {
  let parsed: unknown;
  try {
    parsed = parseBody(provider, body, headers);
  } catch (error) {
    throw new JobImpossible(`The body of this webhook is not what ${provider} sends.`, { cause: error });
  }
  return readWebhook(provider, parsed, receivedAtMs);
}

/** Puts a webhook into a job, byte by byte. */
export function jobOf(webhook: WebhookBytes, how: { hasStatuses: boolean; isReplay: boolean }): KeptWebhookJob {
  const isText = isUtf8(webhook.body);
  return {
    salonId: '',
    payload: webhook.body.toString(isText ? 'utf8' : 'base64'),
    encoding: isText ? 'utf8' : 'base64',
    receivedAt: new Date(webhook.receivedAtMs).toISOString(),
    provider: webhook.provider,
    sender: webhook.sender,
    headers: webhook.headers,
    covers: webhook.covers,
    ...how,
  };
}

/** The webhook of a job. One that was added by a program has a payload, not bytes: then they are what the payload means. */
export function webhookOf(jobId: string, job: WebhookJobData & Partial<KeptWebhookJob>): WebhookBytes {
  const text = typeof job.payload === 'string' ? job.payload : JSON.stringify(job.payload ?? null);
  return {
    // The id of the job is that of the webhook. One that BullMQ made gets an id that is the same at every attempt.
    id: job.webhookId ?? (isId(jobId) ? jobId : stableId(jobId, job.receivedAt)),
    provider: isSenderProvider(job.provider) ? job.provider : guessProvider(job.payload),
    sender: job.sender ?? null,
    receivedAtMs: Date.parse(job.receivedAt),
    headers: job.headers ?? {},
    body: Buffer.from(text, job.encoding ?? 'utf8'),
    covers: job.covers ?? null,
  };
}

function stableId(jobId: string, receivedAt: string): string {
  const head = newId(Date.parse(receivedAt)).slice(0, 13);
  const tail = Buffer.from(jobId).toString('hex').padStart(15, '0').slice(-15);
  return `${head}-7${tail.slice(0, 3)}-8${tail.slice(3, 6)}-${tail.slice(3, 15)}`;
}

/** The provider that a payload without a name comes from, by its shape; the Cloud API when in doubt. */
export function guessProvider(payload: unknown): SenderProvider {
  if (typeof payload !== 'object' || payload === null) return 'cloud';
  if ('event' in payload && 'instance' in payload) return 'evolution';
  return 'MessageSid' in payload || 'SmsSid' in payload ? 'twilio' : 'cloud';
}
