/** Where templates live at a provider. Credentials never leave this object. */
export interface TemplateAccount {
  /** Base address without a slash at the end, as in `SenderAccount`; for Twilio that of the Content API. */
  readonly apiUrl: string;
  /** WhatsApp business account at Meta; account SID at Twilio. */
  readonly accountId: string;
  readonly credentials: Readonly<Record<string, string>>;
}

export const TEMPLATE_CATEGORIES = ['MARKETING', 'UTILITY', 'AUTHENTICATION'] as const;
export type TemplateCategory = (typeof TEMPLATE_CATEGORIES)[number];

/** One part of a template in Meta's shape: `{type: 'BODY', text, example}`. */
export type TemplateComponent = Readonly<Record<string, unknown>>;

export interface NewTemplate {
  readonly name: string;
  readonly language: string;
  readonly category: TemplateCategory;
  readonly components: readonly TemplateComponent[];
}

/** A template as its provider has it. */
export interface RemoteTemplate {
  readonly name: string;
  readonly language: string;
  /** Upper case: `APPROVED`, `PENDING`, `REJECTED`, `PAUSED`, `DISABLED` … */
  readonly status: string;
  readonly category: string;
  readonly components: readonly TemplateComponent[];
  readonly reason: string | null;
  /** Meta's id; ContentSid at Twilio. */
  readonly providerId: string;
}

/** A provider's template store. Each call is one request, or one per page. */
export interface TemplateProvider {
  readonly name: 'cloud' | 'twilio';
  /** Makes it and hands it in for approval. @throws TemplateCallError */
  create(account: TemplateAccount, template: NewTemplate): Promise<RemoteTemplate>;
  /** Everything that the account has. @throws TemplateCallError */
  list(account: TemplateAccount): Promise<RemoteTemplate[]>;
}

/** A call that did not do what was asked. The message is a sentence without secrets. */
export class TemplateCallError extends Error {
  override readonly name = 'TemplateCallError';
  /** `refused`: definitely not done; `unreachable`: not done; `unknown`: it left and the answer was lost. */
  readonly kind: 'refused' | 'unreachable' | 'unknown';

  constructor(kind: TemplateCallError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}
