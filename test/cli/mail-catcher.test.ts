import { afterEach, expect, test } from 'vitest';
import { type MailCatcher, startMailCatcher } from '../../src/cli/demo/mail-catcher.ts';
import { createMailer, type RenderedMail } from '../../src/mail/index.ts';

const running: MailCatcher[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((catcher) => catcher.stop()));
});

test('Q6 · the demo catches e-mails of the real mailer and shows them as they are, on loopback only', async () => {
  const catcher = await startMailCatcher();
  running.push(catcher);
  const mailer = createMailer({ smtpUrl: catcher.smtpUrl, from: 'Salon Ü <salon@example.com>' });
  const mails: readonly RenderedMail[] = [
    {
      subject: 'Your booking',
      text: 'Hello Ada\n.\n..two dots',
      html: '<p>Hello <b>Ada</b> &amp; co</p>',
      locale: 'en',
    },
    { subject: 'تأكيد الحجز – Größe <b>', text: 'مرحبا سارة', html: '<p dir="rtl">مرحبا سارة</p>', locale: 'ar' },
    { subject: 'Long', text: 'ü'.repeat(3000), html: `<p>${'é'.repeat(3000)}</p>`, locale: 'de' },
  ];
  for (const [index, mail] of mails.entries()) await mailer.send({ ...mail, to: 'ada@example.com', id: `m${index}` });
  expect(catcher.mails.map(({ subject }) => subject)).toEqual(mails.map(({ subject }) => subject));
  for (const [index, mail] of mails.entries()) {
    const caught = catcher.mails[index];
    expect(caught?.text.replaceAll('\r\n', '\n').trim()).toBe(mail.text);
    expect(caught?.html.trim()).toBe(mail.html);
    expect(caught).toMatchObject({ to: 'ada@example.com', from: 'Salon Ü <salon@example.com>' });
  }
  const list = await (await fetch(catcher.url)).text();
  expect(list).toContain('تأكيد الحجز');
  expect(list).not.toContain('<b>');
  const one = await fetch(`${catcher.url}/mail/1`);
  expect(one.headers.get('content-security-policy')).toContain("default-src 'none'");
  const text = await one.text();
  expect(text).toContain('<iframe sandbox');
  expect(text).toContain('مرحبا سارة');
  expect((await fetch(`${catcher.url}/mail/99`)).status).toBe(404);
  expect(new URL(catcher.url).hostname).toBe('127.0.0.1');
  expect(new URL(catcher.smtpUrl).hostname).toBe('127.0.0.1');
});
