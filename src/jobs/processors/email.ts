import { type Mailer, MailRefusedError, renderMail } from '../../mail/index.ts';
import type { EmailJobData } from '../data.ts';
import { JobImpossible } from '../outcome.ts';
import type { JobProcessor } from '../workers.ts';

/**
 * Renders and sends an e-mail. Its Message-ID is made of the job's id, so that a second run after a crash is the same
 * e-mail to the mail server.
 * @param mailer null = SMTP_URL is not set: the job fails and says so, to be retried from the board once it is
 */
export function emailProcessor(mailer: Mailer | null): JobProcessor<EmailJobData> {
  return async (job) => {
    if (mailer === null) throw new JobImpossible('No mail server is set up: set SMTP_URL and MAIL_FROM, then retry.');
    const mail = renderMail(job.data);
    try {
      await mailer.send({ ...mail, to: job.data.to, id: `${job.id}.${job.addedAtMs}` });
    } catch (error) {
      if (error instanceof MailRefusedError) throw new JobImpossible(error.message);
      throw error;
    }
    await job.log(`handed to the mail server: ${job.data.template}, ${mail.locale}`);
    return { template: job.data.template, locale: mail.locale };
  };
}
