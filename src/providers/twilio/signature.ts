import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** A form as it was posted: a field that came several times has several values. */
export type TwilioForm = Readonly<Record<string, string | readonly string[]>>;

/** What a webhook brought. */
export interface TwilioRequest {
  /** The public address exactly as Twilio called it: scheme, host, path and query. */
  readonly url: string;
  /** Fields of a form; null for a JSON body, which is signed by the digest in the address (`bodySHA256`). */
  readonly form: TwilioForm | null;
  readonly rawBody: Buffer;
}

/** What `X-Twilio-Signature` must be for a form: the address, then each field's name and values, sorted by name. */
export function twilioSignature(url: string, form: TwilioForm, authToken: string): string {
  const fields = Object.keys(form)
    .sort()
    .map((name) => {
      const value = form[name];
      const values = typeof value === 'string' ? [value] : [...new Set(value ?? [])].sort();
      return values.map((one) => name + one).join('');
    });
  return createHmac('sha1', authToken)
    .update(Buffer.from(url + fields.join(''), 'utf8'))
    .digest('base64');
}

/**
 * Checks `X-Twilio-Signature`. Twilio signs the address with or without the port; both are tried.
 * @param authTokens primary auth tokens that may have signed: more than one while a token is being changed. API keys do
 *   not sign. Empty ones do not count
 * @returns false also when the header is missing
 */
export function verifyTwilioSignature(
  { url, form, rawBody }: TwilioRequest,
  header: string | undefined,
  authTokens: readonly string[],
): boolean {
  if (header === undefined || !/^[A-Za-z0-9+/]{27}=$/.test(header) || !URL.canParse(url)) return false;
  if (form === null && !hasBodyDigest(url, rawBody)) return false;
  const urls = variantsOf(url);
  return authTokens
    .filter((token) => token !== '')
    .flatMap((token) => urls.map((one) => same(twilioSignature(one, form ?? {}, token), header)))
    .includes(true);
}

function hasBodyDigest(url: string, rawBody: Buffer): boolean {
  const digest = new URL(url).searchParams.get('bodySHA256');
  if (digest === null || !/^[0-9a-f]{64}$/i.test(digest)) return false;
  return same(createHash('sha256').update(rawBody).digest('hex'), digest.toLowerCase());
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** The address as it is, without its port, and with the default port of its scheme. */
function variantsOf(url: string): string[] {
  const parts = /^(https?):\/\/([^/?#]+)(.*)$/i.exec(url);
  if (parts === null) return [url];
  const [, scheme = '', host = '', rest = ''] = parts;
  const bare = host.replace(/:\d+$/, '');
  const port = scheme.toLowerCase() === 'https' ? 443 : 80;
  return [...new Set([url, `${scheme}://${bare}${rest}`, `${scheme}://${bare}:${port}${rest}`])];
}
