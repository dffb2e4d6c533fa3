/** What a person wants to see of an e-mail. */
export interface CaughtMail {
  readonly to: string;
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/** Parts within parts within parts: deeper than any e-mail that is meant well. */
const DEPTH_MAX = 5;

/** Reads an e-mail as mailers write them: headers, alternatives, quoted-printable and base64, all in UTF-8. */
export function readMail(raw: string): CaughtMail {
  const { headers, body } = partsOf(raw);
  const found = { text: '', html: '' };
  collect(headers, body, found, 0);
  const header = (name: string) => decodeWords(headers.get(name) ?? '');
  return { to: header('to'), from: header('from'), subject: header('subject'), ...found };
}

function partsOf(raw: string): { readonly headers: ReadonlyMap<string, string>; readonly body: string } {
  const end = raw.indexOf('\r\n\r\n');
  const head = end < 0 ? raw : raw.slice(0, end);
  const lines = head.replace(/\r\n[ \t]+/g, ' ').split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  return { headers, body: end < 0 ? '' : raw.slice(end + 4) };
}

function collect(
  headers: ReadonlyMap<string, string>,
  body: string,
  found: { text: string; html: string },
  depth: number,
): void {
  const type = headers.get('content-type') ?? 'text/plain';
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (/^multipart\//i.test(type) && boundary !== undefined) {
    if (depth === DEPTH_MAX) return;
    // Before the first boundary and after the last one stands nothing for people.
    for (const part of body.split(`--${boundary}`).slice(1, -1)) {
      const inner = partsOf(part.replace(/^\r\n/, ''));
      collect(inner.headers, inner.body, found, depth + 1);
    }
    return;
  }
  const content = decodeBody(body, headers.get('content-transfer-encoding') ?? '7bit');
  if (/^text\/html/i.test(type)) found.html ||= content;
  else if (/^text\/plain/i.test(type)) found.text ||= content;
}

function decodeBody(body: string, encoding: string): string {
  if (/base64/i.test(encoding)) return Buffer.from(body, 'base64').toString('utf8');
  if (/quoted-printable/i.test(encoding)) return decodeQuoted(body.replace(/=\r\n/g, ''));
  return Buffer.from(body, 'latin1').toString('utf8');
}

function decodeQuoted(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

/** `=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=`; a blank between two of them belongs to neither. */
function decodeWords(text: string): string {
  return text
    .replace(/\?=\s+=\?/g, '?==?')
    .replace(/=\?[^?]+\?([QB])\?([^?]*)\?=/gi, (_, kind: string, word: string) =>
      kind.toUpperCase() === 'B' ? Buffer.from(word, 'base64').toString('utf8') : decodeQuoted(word.replace(/_/g, ' ')),
    );
}
