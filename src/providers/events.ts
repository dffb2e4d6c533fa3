import type { SenderProvider } from '../model/provider.ts';
import type { ProviderStatus } from './contract.ts';

/** A person at the provider. At least one of the three is there; the phone may be absent for good. */
export interface ProviderContact {
  /** The provider's own address of the person: Cloud API `wa_id` (digits), Evolution `…@lid`, without a `+`. */
  readonly waId: string | null;
  /** Business-scoped user id, `US.1349…`. */
  readonly userId: string | null;
  /** E.164 with `+`, when the provider says it as a phone number. */
  readonly phone: string | null;
  /** Profile name as the person wrote it. */
  readonly name: string | null;
}

/** One message that a person sent to a sender, or that somebody sent from the sender's own phone (`isEcho`). */
export interface InboundMessage {
  /** The provider's number it came in on; finds our sender. */
  readonly externalSenderId: string;
  /** Unique per sender: a repeat is the same message. */
  readonly providerMessageId: string;
  readonly contact: ProviderContact;
  readonly atMs: number;
  /** The Cloud API's word (`text`, `image`, `interactive`, `reaction` …) or the provider's own when it has none. */
  readonly type: string;
  /** The object of that type in the Cloud API's shape, e.g. `{ body }` of a text. Unknown fields are kept. */
  readonly content: Readonly<Record<string, unknown>>;
  /** `providerMessageId` of the message that it answers or reacts to. */
  readonly replyTo: string | null;
  /** Came from a click on an advertisement, which opens a window of 72 hours. */
  readonly referral: Readonly<Record<string, unknown>> | null;
  /** Sent by the business from its own phone, not by the contact. */
  readonly isEcho: boolean;
}

/** One thing that a provider told in a webhook. A body is split into these; none of them is dropped. */
export type ProviderEvent =
  | { readonly kind: 'message'; readonly message: InboundMessage }
  | { readonly kind: 'status'; readonly status: ProviderStatus }
  /** The state of a template changed; `name` and `language` find it. */
  | {
      readonly kind: 'template';
      readonly accountId: string | null;
      readonly name: string;
      readonly language: string | null;
      readonly providerTemplateId: string | null;
      /** Upper case as the provider says it: `APPROVED`, `PAUSED`, `DISABLED`, `REJECTED` … */
      readonly event: string;
      readonly reason: string | null;
    }
  /** A sender became usable or unusable: connection, quality, restriction, throughput. */
  | {
      readonly kind: 'sender';
      readonly externalSenderId: string | null;
      readonly accountId: string | null;
      /** What it means for sending. */
      readonly state: 'usable' | 'paused' | 'unchanged';
      /** The provider's field and event, `connection.update open`, `account_update DISABLED_UPDATE`. */
      readonly event: string;
      readonly reason: string | null;
      /**
       * Orders what is told of one sender, ms: the provider's own time where it gives one, else that of arrival. Epoch
       * ms but for Evolution, whose `date_time` is local time.
       */
      readonly atMs: number;
    }
  /** A contact got another phone number or user id. */
  | {
      readonly kind: 'contact-changed';
      readonly externalSenderId: string;
      readonly before: ProviderContact;
      readonly after: ProviderContact;
      readonly atMs: number;
    }
  /** A contact wants no marketing any more, or wants it again. */
  | {
      readonly kind: 'preference';
      readonly externalSenderId: string;
      readonly contact: ProviderContact;
      readonly wantsMarketing: boolean;
      readonly atMs: number;
    }
  /** Something without a reader: kept raw, and counted under `type`. */
  | { readonly kind: 'other'; readonly externalSenderId: string | null; readonly type: string };

/** What one webhook body holds. A broken item is reported beside the good ones: it must not cost them. */
export interface ReadWebhook {
  readonly events: readonly ProviderEvent[];
  /** Items that could not be read, with a short reason without personal data. */
  readonly broken: readonly { readonly where: string; readonly reason: string }[];
}

/** Reads the webhooks of one provider. Pure: it knows no record and no queue. Never throws for odd content. */
export interface WebhookReader {
  readonly provider: SenderProvider;
  /** `body` as parsed: JSON, or the fields of a form for Twilio. `receivedAtMs` stands in where the provider gives no time. */
  read(body: unknown, receivedAtMs: number): ReadWebhook;
}
