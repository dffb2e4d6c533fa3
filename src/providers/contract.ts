import type { MessageBody, MessageError } from '../model/message.ts';
import type { LaterRetry } from '../model/later-retry.ts';
import type { SenderProvider } from '../model/provider.ts';

/** How a sender reaches its provider. Credentials never leave this object: they are not logged, not put in errors. */
export interface SenderAccount {
  /** Our id of the sender. */
  readonly id: string;
  readonly provider: SenderProvider;
  /** Cloud API: the phone_number_id. Evolution: the instance. Twilio: the number (`+1…`) or messaging service (`MG…`). */
  readonly externalId: string;
  /** Base address without a slash at the end; for the Cloud API with the version: `https://graph.facebook.com/v23.0`. */
  readonly apiUrl: string;
  /** Evolution only: what the instance speaks to WhatsApp with. Absent = `baileys`. */
  readonly channel?: EvolutionChannel | null;
  /**
   * Cloud API: `accessToken`, and `appSecret` for the signature of its webhooks. Evolution: `apiKey`, and
   * `webhookToken` for its webhooks. Twilio: `accountSid`, `authToken` (it also signs the webhooks), and optionally
   * `apiKeySid` with `apiKeySecret`, which are then used to send.
   */
  readonly credentials: Readonly<Record<string, string>>;
}

/** `baileys`: WhatsApp Web, unofficial. `cloud`: Meta's Cloud API behind Evolution. */
export const EVOLUTION_CHANNELS = ['baileys', 'cloud'] as const;
export type EvolutionChannel = (typeof EVOLUTION_CHANNELS)[number];

export interface ProviderSend {
  readonly account: SenderAccount;
  readonly messageId: string;
  readonly attempt: number;
  readonly body: MessageBody;
  /** Tag that the provider echoes in status webhooks (`biz_opaque_callback_data`, at most 512 characters). */
  readonly tag: string;
  /** Aborting it before the first byte makes the outcome `not-sent`; later, `ambiguous`. */
  readonly signal?: AbortSignal;
  /**
   * Called once, in the same tick in which the request is written to its socket: after a free connection was found
   * or opened. Returning false (or throwing) keeps every byte back: the outcome is `not-sent`. The worker enforces
   * its start-by limit here.
   */
  readonly beforeFirstByte?: () => boolean;
}

/** What to do about a provider's answer, one word per class of `facts`: see `cloud/errors.ts` for the table. */
export type ErrorClass =
  /** Try again within seconds; counts as an attempt. */
  | 'retry-soon'
  /** Try again after minutes or more; counts as an attempt. */
  | 'retry-later'
  /** Only this sender-recipient pair must wait; no attempt is counted. */
  | 'pair'
  /** The sending number must slow down; no attempt is counted. */
  | 'sender-slow'
  /** The number or account must stop until a person, a webhook or a probe clears it; no attempt is counted. */
  | 'sender-pause'
  /** Token or permission: like `sender-pause`, for the credential. */
  | 'credentials'
  /** This template must stop; other messages may go. */
  | 'template'
  /** Final for this recipient. */
  | 'recipient'
  /** Final for this payload. */
  | 'payload';

/**
 * `MessageError.code` of what an attempt ran into. Codes are never reused.
 * The provider's own code, when it gave one, stands in `MessageError.providerCode`.
 */
export const PROVIDER_ERROR_CODES = {
  /** The provider definitely refused the message; `providerCode` says why. */
  PROVIDER_REJECTED: 'The provider refused the message',
  /** The sender's address or access token is missing or unusable; nothing was sent. */
  SENDER_MISCONFIGURED: 'The sender is not set up',
  /** The sender's provider has no way to say this message; nothing was sent. */
  MESSAGE_UNSUPPORTED: 'The provider cannot send this kind of message',
  /** No connection came about, so nothing was sent. */
  PROVIDER_UNREACHABLE: 'The provider could not be reached',
  /** The worker took the attempt back before the first byte left. */
  SEND_NOT_STARTED: 'The attempt was not started',
  /** A mistake of the program itself, before the first byte left. */
  SEND_BROKE: 'The program failed over the message',
  /** The request left and no trustworthy answer came. */
  PROVIDER_OUTCOME_UNKNOWN: 'It is not known whether the provider took the message',
  /** A status webhook said that the message failed after it had been taken. */
  DELIVERY_FAILED: 'WhatsApp could not deliver the message',
} as const;
export type ProviderErrorCode = keyof typeof PROVIDER_ERROR_CODES;

export type ProviderOutcome =
  /** The provider took it. `providerMessageId` is its id (Cloud API: wamid), opaque text up to 512 characters. */
  | { readonly kind: 'sent'; readonly providerMessageId: string; readonly httpStatus: number }
  /** The provider definitely refused it. */
  | {
      readonly kind: 'rejected';
      readonly class: ErrorClass;
      /** What the provider or our table says to wait, in ms; absent = the policy's own backoff. */
      readonly retryAfterMs?: number;
      /** Attempts in all, fast and slow together, that make sense for this error; then it is final. */
      readonly attemptsMax?: number;
      readonly error: MessageError;
      /** 0 when the adapter itself refused, because the sender is not set up. */
      readonly httpStatus: number;
    }
  /** No byte of the request can have been processed: refused connection, DNS, TLS, abort before the first byte. */
  | { readonly kind: 'not-sent'; readonly error: MessageError }
  /** It left, and no trustworthy answer came: timeout, reset, 5xx without the provider's envelope, 200 without an id. */
  | { readonly kind: 'ambiguous'; readonly error: MessageError; readonly httpStatus?: number };

/** One status of a status webhook, in our words. */
export interface ProviderStatus {
  /** The provider's number the message went out on (Cloud API: phone_number_id). */
  readonly externalSenderId: string;
  readonly providerMessageId: string;
  /** `sent | delivered | read | failed | played` or whatever the provider said, lower case. */
  readonly status: string;
  readonly atMs: number;
  /** The echoed tag, when the provider sent one. */
  readonly tag: string | null;
  readonly error: MessageError | null;
  /** What the error table says to do by itself about a `failed`; absent = it is final. */
  readonly laterRetry?: LaterRetry;
  /** The provider told no time: `atMs` is that of arrival, and a repeat has another one. */
  readonly isTimeOurs?: true;
  /** What it told besides (price, category, user ids, fields that are new), under its own names; a few kilobytes. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Names of fields in it that no version of ours knew. */
  readonly unknownFields?: readonly string[];
}

/**
 * A messaging provider. Knows how to say a message and how to read the answer; knows nothing of queues.
 * Adapters pass `test/conformance/provider.ts`.
 */
export interface MessageProvider {
  readonly name: SenderProvider;
  /** Sends one message. Never throws for anything that a provider or a network does: the outcome says it. */
  send(request: ProviderSend): Promise<ProviderOutcome>;
  /** Closes its connections. Safe to call twice. */
  close(): Promise<void>;
}
