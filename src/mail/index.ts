export { createMailer, MailRefusedError, type Mailer } from './mailer.ts';
export { renderMail, mailTemplateNamed, type MailRequest, type RenderedMail } from './render.ts';
export { sampleData } from './samples.ts';
export { MAIL_LOCALES, MAIL_TEMPLATES, type MailLocale, type MailTemplate } from './texts.ts';
