import type { MessageBody } from '../../model/message.ts';
import { AccountError, baseUrl, headerSecret } from '../account-error.ts';
import type { SenderAccount } from '../contract.ts';
import { asArray, asObject, asText } from '../json.ts';
import { mediaLink, phoneDigitsOf, UnsupportedMessage } from '../unsupported.ts';

type Content = Readonly<Record<string, unknown>>;
type Fields = Readonly<Record<string, string>>;

const TWILIO = 'Twilio';
const BODY_CHARACTERS_MAX = 1_600;
const CONTENT_SID = /^HX[0-9a-f]{32}$/i;
const VARIABLES_MAX = 100;

/**
 * Maps a message onto the fields of Twilio's Messages resource, without the sender's own (`From`, `StatusCallback`).
 * @throws UnsupportedMessage when it has no such message
 */
export function twilioFields(body: MessageBody): Fields {
  const to = { To: `whatsapp:+${phoneDigitsOf(body, TWILIO)}` };
  const content = asObject(body.content) ?? {};
  if (body.context !== undefined) {
    throw new UnsupportedMessage('context', 'Twilio cannot quote an earlier message: leave context out.');
  }
  switch (body.type) {
    case 'text':
      return { ...to, Body: textOf(content['body'], 'text.body') };
    case 'image':
    case 'video':
    case 'document':
    case 'audio':
    case 'sticker': {
      const caption = asText(content['caption'], 4_096);
      const text = caption === null ? {} : { Body: textOf(caption, `${body.type}.caption`) };
      return { ...to, MediaUrl: mediaLink(content, body.type, TWILIO), ...text };
    }
    case 'location': {
      // Twilio's documented form; the text after the bar is shown with the pin.
      const label = asText(content['name'], 1_000) ?? asText(content['address'], 1_000) ?? '';
      const place = `${String(content['latitude'])},${String(content['longitude'])}`;
      const text = label === '' ? place : label;
      return { ...to, Body: text, PersistentAction: `geo:${place}|${text.replaceAll('|', ' ')}` };
    }
    case 'template':
      return { ...to, ...templateFields(content) };
    case 'contacts':
    case 'reaction':
    case 'interactive':
      throw new UnsupportedMessage(
        'type',
        `Twilio cannot send ${body.type} directly: make a Content template for it and send that by its ContentSid.`,
      );
  }
}

/** Where a message goes and what the account adds. @throws AccountError when the account cannot be used */
export function twilioEndpoint(account: SenderAccount): { url: URL; headers: Record<string, string>; from: Fields } {
  const { accountSid, authToken, apiKeySid, apiKeySecret } = account.credentials;
  if (accountSid === undefined || !/^AC[0-9a-zA-Z]{32}$/.test(accountSid)) {
    throw new AccountError('credentials', 'Set the account SID of this sender: AC and 32 letters and digits.');
  }
  const user = headerSecret(apiKeySid ?? accountSid, 'account SID or API key SID');
  const secret = headerSecret(apiKeySid === undefined ? authToken : apiKeySecret, 'auth token or API key secret');
  const base = baseUrl(account.apiUrl, 'https://api.twilio.com');
  const root = base.pathname.replace(/\/+$/, '');
  return {
    url: new URL(`${root}/2010-04-01/Accounts/${accountSid}/Messages.json`, base.origin),
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
    },
    from: fromOf(account.externalId),
  };
}

function fromOf(externalId: string): Fields {
  if (/^MG[0-9a-zA-Z]{32}$/.test(externalId)) return { MessagingServiceSid: externalId };
  if (/^\+\d{7,15}$/.test(externalId)) return { From: `whatsapp:${externalId}` };
  throw new AccountError(
    'address',
    "Set the sender's number with + (such as +14155238886) or a messaging service MG….",
  );
}

/** `template` in the Cloud API's shape: its name is the ContentSid, its parameters become ContentVariables. */
function templateFields(content: Content): Fields {
  const name = asText(content['name'], 512) ?? '';
  if (!CONTENT_SID.test(name)) {
    throw new UnsupportedMessage(
      'template.name',
      "Twilio knows templates by their ContentSid: give HX… as the template's name.",
    );
  }
  const variables = variablesOf(asArray(content['components']));
  return {
    ContentSid: name,
    ...(Object.keys(variables).length === 0 ? {} : { ContentVariables: JSON.stringify(variables) }),
  };
}

/** Named parameters keep their names; others are numbered over the whole template, in the order given. */
function variablesOf(components: readonly unknown[]): Record<string, string> {
  const parameters = components.flatMap((component, c) =>
    asArray(asObject(component)?.['parameters']).map((parameter, p) => ({
      parameter: asObject(parameter) ?? {},
      field: `template.components[${c}].parameters[${p}]`,
    })),
  );
  if (parameters.length > VARIABLES_MAX) {
    throw new UnsupportedMessage('template.components', `Twilio takes at most ${VARIABLES_MAX} variables.`);
  }
  return Object.fromEntries(
    parameters.map(({ parameter, field }, n) => [
      asText(parameter['parameter_name'], 128) ?? String(n + 1),
      variableOf(parameter, field),
    ]),
  );
}

function variableOf(parameter: Content, field: string): string {
  const nested = (name: string): Content => asObject(parameter[name]) ?? {};
  const value =
    asText(parameter['text'], 10_000) ??
    asText(parameter['payload'], 10_000) ??
    asText(nested('currency')['fallback_value'], 10_000) ??
    asText(nested('date_time')['fallback_value'], 10_000) ??
    ['image', 'video', 'document'].map((kind) => asText(nested(kind)['link'], 10_000)).find((link) => link !== null) ??
    null;
  if (value === null || value.trim() === '') {
    throw new UnsupportedMessage(field, 'Twilio takes no empty variables, and media in them by link only.');
  }
  if (value.length > BODY_CHARACTERS_MAX || /[\r\n]| {5}/.test(value)) {
    throw new UnsupportedMessage(
      field,
      `A variable may have at most ${BODY_CHARACTERS_MAX} characters at Twilio, and no line breaks or runs of spaces.`,
    );
  }
  return value;
}

function textOf(value: unknown, field: string): string {
  const text = typeof value === 'string' ? value : '';
  if (Array.from(text).length > BODY_CHARACTERS_MAX) {
    throw new UnsupportedMessage(
      field,
      `Twilio takes at most ${BODY_CHARACTERS_MAX} characters in one message: split the text.`,
    );
  }
  return text;
}
