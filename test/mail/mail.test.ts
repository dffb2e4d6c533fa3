import { SMTPServer } from 'smtp-server';
import { afterEach, describe, expect, test } from 'vitest';
import { JobImpossible, emailProcessor, type JobContext, type EmailJobData } from '../../src/jobs/index.ts';
import { createMailer, MAIL_LOCALES, MAIL_TEMPLATES, renderMail, sampleData } from '../../src/mail/index.ts';

describe('Q6 · templates', () => {
  const all = MAIL_TEMPLATES.flatMap((template) => MAIL_LOCALES.map((locale) => ({ template, locale })));
  test.each(all)('Q6 · $template in $locale has a subject, HTML and text without gaps', ({ template, locale }) => {
    const mail = renderMail({ template, locale, data: sampleData(template, locale) });
    expect(mail.subject.length).toBeGreaterThan(5);
    expect(mail.html).toContain(`<html lang="${locale}" dir="${locale === 'ar' ? 'rtl' : 'ltr'}">`);
    for (const text of [mail.subject, mail.html, mail.text]) expect(text).not.toMatch(/\{\{|\{%|undefined|null/);
    expect(mail.html).not.toMatch(/<script|src=/);
    const { serviceName } = sampleData(template, locale);
    if (typeof serviceName === 'string') expect(mail.text).toContain(serviceName);
  });

  test('Q6 · what people typed cannot become markup, a header, or a link of another kind', () => {
    const data = {
      serviceName: '<img src=x>\r\nBcc: eve@example.com',
      serviceDate: '{{ 1 | plus: 1 }}',
      manageUrl: 'javascript:alert(1)',
    };
    const mail = renderMail({ template: 'booking_confirmation', data });
    expect(mail.html).toContain('&lt;img src=x&gt;');
    expect(mail.html).not.toContain('javascript:');
    expect(mail.subject).not.toMatch(/[\r\n]/);
    expect(mail.text).toContain('{{ 1 | plus: 1 }}');
  });

  test.each([
    ['booking_confirmation', { serviceName: 'x' }, 'data.serviceDate'],
    ['password_reset', { resetUrl: 'ftp://example.com' }, 'data.resetUrl'],
    ['nothing', {}, 'template'],
  ])('Q6 · %s without what it needs is refused with the field', (template, data, field) => {
    expect(() => renderMail({ template, data })).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID', field }));
  });

  test("Q6 · a time is shown in the customer's time zone, else as it was written; another language becomes English", () => {
    const data = { serviceName: 'Cut', serviceDate: '2027-02-02T10:30:00+03:00' };
    expect(renderMail({ template: 'booking_confirmation', data, locale: 'fr' }).text).toContain('10:30');
    const zoned = { ...data, timeZone: 'Europe/Berlin' };
    expect(renderMail({ template: 'booking_confirmation', data: zoned, locale: 'de-AT' }).text).toContain('08:30');
    // Without an offset it is the customer's clock already, whatever the server's is.
    for (const timeZone of ['Europe/Berlin', 'America/New_York', 'UTC']) {
      const local = { ...data, serviceDate: '2027-02-02T10:30:00', timeZone };
      expect(renderMail({ template: 'booking_confirmation', data: local, locale: 'de' }).text).toContain('10:30');
    }
  });
});

const servers: SMTPServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
});

/** A mail server that keeps what it gets; `refuse` is its answer to a recipient. */
async function catcher(refuse?: number) {
  const caught: { to: string[]; raw: string }[] = [];
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    onRcptTo(_address, _session, done) {
      if (refuse === undefined) done();
      else done(Object.assign(new Error('no'), { responseCode: refuse }));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        caught.push({
          to: session.envelope.rcptTo.map(({ address }) => address),
          raw: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
  });
  servers.push(server);
  const port = await new Promise<number>((resolve) => {
    const listener = server.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  return { caught, mailer: createMailer({ smtpUrl: `smtp://127.0.0.1:${port}`, from: 'Salon <hello@salon.example>' }) };
}

const nothing = () => Promise.resolve();
const job = (data: Partial<EmailJobData> = {}): JobContext<EmailJobData> => ({
  id: '7',
  data: {
    to: 'ada@example.com',
    subject: null,
    template: 'booking_confirmation',
    data: { customerName: 'Ada', serviceName: 'Cut', serviceDate: '2027-02-02T10:30:00Z' },
    ...data,
  },
  attempt: 1,
  attemptsMax: 3,
  isTakenOver: false,
  addedAtMs: 1000,
  log: nothing,
  progress: nothing,
});

describe('Q6 · sending', () => {
  test('Q6 · an e-mail reaches the server as HTML and text, the same Message-ID at every try', async () => {
    const { caught, mailer } = await catcher();
    const process = emailProcessor(mailer);
    await process(job());
    await process(job());
    expect(caught).toHaveLength(2);
    expect(caught[0]?.to).toEqual(['ada@example.com']);
    expect(caught[0]?.raw).toMatch(/multipart\/alternative/);
    expect(caught[0]?.raw).toMatch(/Subject: Your booking: Cut/);
    const ids = caught.map(({ raw }) => /^Message-ID: (.*)$/im.exec(raw)?.[1]);
    expect(ids[0]).toBe('<7.1000@salon.example>');
    expect(new Set(ids).size).toBe(1);
  });

  test('Q6 · an address that the server refuses for good is not tried again; a busy server is', async () => {
    const refused = await catcher(550);
    await expect(emailProcessor(refused.mailer)(job())).rejects.toBeInstanceOf(JobImpossible);
    const busy = await catcher(451);
    await expect(emailProcessor(busy.mailer)(job())).rejects.not.toBeInstanceOf(JobImpossible);
  });

  test('Q6 · no line of a recipient becomes a second one', async () => {
    const { caught, mailer } = await catcher();
    await emailProcessor(mailer)(job({ to: 'ada@example.com, eve@example.com' })).catch(() => undefined);
    expect(caught.flatMap(({ to }) => to)).not.toContain('eve@example.com');
  });

  test('Q6 · without SMTP_URL the job fails and says what to set', async () => {
    await expect(emailProcessor(null)(job())).rejects.toThrow(/SMTP_URL/);
  });
});
