import { AppError } from '../errors/app-error.ts';
import type { TemplateAccount, TemplateProvider } from '../providers/template-provider.ts';
import type { SenderWithCredentials } from '../record/index.ts';

export interface AccountPorts {
  readonly providers: readonly TemplateProvider[];
  readonly senders: { getWithCredentials(id: string): Promise<SenderWithCredentials | null> };
  /** WHATSAPP_BUSINESS_ACCOUNT_ID: of Cloud API senders that name no portfolio. */
  readonly businessAccountId: string | undefined;
  /** TWILIO_CONTENT_URL. */
  readonly twilioContentUrl: string;
}

/** Where the templates of a sender live. */
export interface SenderAccountAt {
  readonly sender: SenderWithCredentials;
  readonly account: TemplateAccount;
  readonly provider: TemplateProvider;
}

/** @throws AppError `NOT_FOUND`, `REQUEST_INVALID` for a sender whose provider or settings allow no templates */
export async function accountOf(ports: AccountPorts, id: string): Promise<SenderAccountAt> {
  const sender = await ports.senders.getWithCredentials(id);
  if (sender === null) throw new AppError('NOT_FOUND', { field: 'sender', detail: 'There is no such sender.' });
  const provider = ports.providers.find(({ name }) => name === sender.provider);
  if (provider === undefined) {
    throw new AppError('REQUEST_INVALID', { field: 'sender', detail: 'The provider of this sender has no templates.' });
  }
  const isTwilio = sender.provider === 'twilio';
  const accountId = isTwilio ? sender.credentials['accountSid'] : (sender.portfolio ?? ports.businessAccountId);
  if (accountId === undefined) {
    const detail = 'Set WHATSAPP_BUSINESS_ACCOUNT_ID, or the portfolio of the sender, to its business account.';
    throw new AppError('REQUEST_INVALID', { field: 'sender', detail });
  }
  const apiUrl = isTwilio ? ports.twilioContentUrl : sender.apiUrl;
  return { sender, provider, account: { apiUrl, accountId, credentials: sender.credentials } };
}
