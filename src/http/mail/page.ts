import { MAIL_LOCALES, MAIL_TEMPLATES, type MailLocale, type MailTemplate } from '../../mail/index.ts';

const LANGUAGES: Readonly<Record<MailLocale, string>> = { en: 'English', de: 'Deutsch', ar: 'العربية' };

export interface PreviewChoice {
  readonly template: MailTemplate;
  readonly locale: MailLocale;
  readonly width: 'wide' | 'phone';
}

/** The preview page: no script, every choice is a link, the e-mail stands in a frame without any rights. */
export function previewPage(choice: PreviewChoice, mail: { readonly subject: string; readonly text: string }): string {
  const { template, locale, width } = choice;
  const link = (change: Partial<PreviewChoice>, label: string, isCurrent: boolean) => {
    const query = new URLSearchParams({ ...choice, ...change }).toString();
    return `<a href="?${escape(query)}"${isCurrent ? ' aria-current="true"' : ''}>${escape(label)}</a>`;
  };
  const templates = MAIL_TEMPLATES.map((one) => link({ template: one }, titleOf(one), one === template));
  const locales = MAIL_LOCALES.map((one) => link({ locale: one }, LANGUAGES[one], one === locale));
  const widths = (['wide', 'phone'] as const).map((one) =>
    link({ width: one }, one === 'wide' ? 'Desktop' : 'Phone', one === width),
  );
  const frame = `preview/${template}/html?locale=${locale}`;
  const dir = locale === 'ar' ? 'rtl' : 'ltr';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>E-mail preview · Waxwing</title>
<style>${STYLE}</style>
</head>
<body>
<header><h1>E-mail preview</h1>
<nav aria-label="Template">${templates.join('')}</nav>
<nav aria-label="Language">${locales.join('')}</nav>
<nav aria-label="Width">${widths.join('')}</nav>
</header>
<main>
<section class="${width}" aria-label="HTML">
<p class="subject"><span>Subject</span> <strong dir="${dir}">${escape(mail.subject)}</strong></p>
<iframe title="${escape(template)} as HTML" src="${escape(frame)}" sandbox></iframe>
</section>
<section class="text" aria-label="Text">
<h2>Text version</h2>
<pre dir="${dir}">${escape(mail.text)}</pre>
</section>
</main>
</body>
</html>
`;
}

/** `booking_confirmation` → Booking confirmation. */
function titleOf(template: string): string {
  return template.charAt(0).toUpperCase() + template.slice(1).replaceAll('_', ' ');
}

const STYLE = `
:root{font:15px/1.5 system-ui,'Segoe UI',sans-serif;color:#1c2b26;background:#eef1ef}
body{margin:0}
header{display:flex;flex-wrap:wrap;gap:10px 14px;align-items:center;padding:14px 24px;background:#0b3d2e;color:#fff}
h1{font-size:17px;margin:0 8px 0 0}
nav{display:flex;flex-wrap:wrap;gap:4px}
nav a{color:#d5e6de;text-decoration:none;padding:4px 8px;border-radius:6px}
nav a:hover{background:#145240}
nav a:focus-visible{outline:2px solid #fff}
nav a[aria-current]{background:#fff;color:#0b3d2e;font-weight:600}
main{display:grid;grid-template-columns:minmax(0,3fr) minmax(280px,2fr);gap:20px;padding:20px 24px;align-items:start}
section{background:#fff;border:1px solid #d5ddd9;border-radius:10px;overflow:hidden}
.subject{margin:0;padding:12px 18px;border-bottom:1px solid #d5ddd9;display:flex;gap:10px}
.subject span{color:#55655f}
iframe{display:block;width:100%;height:680px;border:0;background:#f2f4f3}
.phone iframe{width:390px;margin:0 auto;border-inline:1px solid #d5ddd9}
h2{font-size:15px;margin:0;padding:12px 18px;border-bottom:1px solid #d5ddd9}
pre{margin:0;padding:16px 18px;white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.6 ui-monospace,monospace}
@media(max-width:900px){main{grid-template-columns:minmax(0,1fr)}.phone iframe{width:100%}}
`;

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
