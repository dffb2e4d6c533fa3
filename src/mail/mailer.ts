import { createTransport } from 'nodemailer';
import type { RenderedMail } from './render.ts';

/** The mail server refused this e-mail for good (a 5xx reply to the sender, the recipient or the content). */
export class MailRefusedError extends Error {
  override readonly name = 'MailRefusedError';
  readonly responseCode: number;

  constructor(responseCode: number, cause: unknown) {
    super(`The mail server refused the e-mail with ${responseCode}.`, { cause });
    this.responseCode = responseCode;
  }
}

export interface Mailer {
  /**
   * Hands an e-mail to the mail server; resolves when it took it.
   * @param mail.id the same for every try of one e-mail: becomes its Message-ID, so that a repeat is known as one
   * @throws MailRefusedError when trying again cannot help; any other error may pass
   */
  send(mail: RenderedMail & { readonly to: string; readonly id: string }): Promise<void>;
}

/** Longest silence of the mail server; a job must end before anybody misses its worker. */
const TIMEOUT_MS = 20_000;
const CONNECT_TIMEOUT_MS = 5_000;

/**
 * One connection per e-mail: nothing stays open that would have to be closed, and EMAIL_QUEUE_CONCURRENCY bounds them.
 * @param options.smtpUrl `smtp://user:password@host:587`, `smtps://host:465`
 */
export function createMailer(options: { readonly smtpUrl: string; readonly from: string }): Mailer {
  const transport = createTransport(
    {
      url: options.smtpUrl,
      connectionTimeout: CONNECT_TIMEOUT_MS,
      greetingTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: TIMEOUT_MS,
      // A job's data comes from callers: neither a path nor an address in it may become content.
      disableFileAccess: true,
      disableUrlAccess: true,
    },
    { from: options.from },
  );
  const domain = /@([^\s>]+)>?\s*$/.exec(options.from)?.[1] ?? 'localhost';

  return {
    async send({ to, id, subject, html, text, locale }) {
      try {
        await transport.sendMail({
          // As an object, so that no comma in a text makes two recipients.
          to: { name: '', address: to },
          subject,
          html,
          text,
          messageId: `<${id.replace(/[^A-Za-z0-9._-]/g, '-')}@${domain}>`,
          headers: { 'Content-Language': locale, 'Auto-Submitted': 'auto-generated' },
        });
      } catch (error) {
        const { code, responseCode } = error as { code?: string; responseCode?: number };
        const isOfThisMail = code === 'EENVELOPE' || code === 'EMESSAGE';
        if (isOfThisMail && responseCode !== undefined && responseCode >= 500) {
          throw new MailRefusedError(responseCode, error);
        }
        throw error;
      }
    },
  };
}
