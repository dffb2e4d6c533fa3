import type { CaughtMail } from './read-mail.ts';

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
  h1 { font-size: 1.3rem; } p { color: GrayText; }
  ol { list-style: none; padding: 0; } li { border-top: 1px solid color-mix(in srgb, CanvasText 20%, transparent); }
  li a { display: grid; grid-template-columns: 1fr 2fr; gap: 1rem; padding: .6rem 0; color: inherit; text-decoration: none; }
  li a:hover, li a:focus-visible { background: color-mix(in srgb, CanvasText 7%, transparent); }
  li span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  iframe { width: 100%; height: 34rem; border: 1px solid GrayText; border-radius: 6px; background: white; }
  pre { white-space: pre-wrap; padding: 1rem; border: 1px solid GrayText; border-radius: 6px; }
  @media (max-width: 40rem) { li a { grid-template-columns: 1fr; gap: 0; } }`;

/** All that was caught, the newest first; looks again by itself. */
export function mailsPage(mails: readonly CaughtMail[], gone: number): string {
  const items = mails
    .map(
      ({ to, subject }, index) =>
        `<li><a href="/mail/${index + gone}"><span>${safe(to)}</span><span dir="auto">${safe(subject)}</span></a></li>`,
    )
    .reverse();
  const list = items.length === 0 ? '<p>None yet.</p>' : `<ol>${items.join('')}</ol>`;
  return page('E-mails of the demo', `<p>Caught on this machine, delivered to nobody.</p>${list}`, 5);
}

export function mailPage({ to, from, subject, text, html }: CaughtMail): string {
  return page(
    subject,
    `<p>From ${safe(from)} to ${safe(to)} · <a href="/">all e-mails</a></p>
    <iframe sandbox title="As HTML" srcdoc="${safe(html)}"></iframe>
    <h2>As text</h2><pre dir="auto">${safe(text)}</pre>`,
  );
}

function page(title: string, body: string, againSeconds?: number): string {
  const again = againSeconds === undefined ? '' : `<meta http-equiv="refresh" content="${againSeconds}">`;
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">${again}
    <meta name="viewport" content="width=device-width, initial-scale=1"><title>${safe(title)}</title>
    <style>${STYLE}</style></head><body><h1 dir="auto">${safe(title)}</h1>${body}</body></html>`;
}

function safe(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
