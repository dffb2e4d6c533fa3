import type { QueueService } from '../../jobs/index.ts';
import { MAIL_LOCALES, MAIL_TEMPLATES, sampleData } from '../../mail/index.ts';

const EVERY_MS = 15_000;

/** Sends one e-mail of each template at once and another every few seconds. @returns what ends it */
export function startMails(queues: Pick<QueueService, 'addEmailJob'>): () => void {
  let count = 0;
  const send = (): void => {
    const template = MAIL_TEMPLATES[count % MAIL_TEMPLATES.length] ?? 'booking_confirmation';
    const locale = MAIL_LOCALES[count % MAIL_LOCALES.length] ?? 'en';
    count += 1;
    const to = `customer${count}@example.com`;
    // The demo is about to end, or Redis was taken away to see what happens: the next one comes soon.
    queues.addEmailJob({ to, template, data: sampleData(template, locale), locale }).catch(() => undefined);
  };
  for (let made = 0; made < MAIL_TEMPLATES.length; made += 1) send();
  const timer = setInterval(send, EVERY_MS);
  return () => clearInterval(timer);
}
