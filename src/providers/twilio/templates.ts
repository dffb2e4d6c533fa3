import { AccountError, baseUrl, headerSecret } from '../account-error.ts';
import { asArray, asObject, asText } from '../json.ts';
import { templateCall } from '../template-call.ts';
import {
  type NewTemplate,
  type RemoteTemplate,
  type TemplateAccount,
  TemplateCallError,
  type TemplateComponent,
  type TemplateProvider,
} from '../template-provider.ts';
import { UnsupportedMessage } from '../unsupported.ts';

const PAGES_MAX = 100;

/** Twilio's Content API: contents, and their approval by WhatsApp. */
export function createTwilioTemplates(): TemplateProvider {
  return {
    name: 'twilio',
    async create(account, template) {
      const types = typesOf(template);
      const made = asObject(
        await call(account, 'POST', '/v1/Content', {
          friendly_name: template.name,
          language: template.language,
          variables: examplesOf(template.components),
          types,
        }),
      );
      const sid = asText(made?.['sid'], 64);
      if (sid === null) throw new TemplateCallError('unknown', 'Twilio answered without a ContentSid.');
      const approval = asObject(
        await call(account, 'POST', `/v1/Content/${sid}/ApprovalRequests/whatsapp`, {
          name: template.name.toLowerCase().replace(/[^a-z0-9_]/g, '_'),
          category: template.category,
        }),
      );
      return {
        ...template,
        status: statusOf(approval?.['status']),
        reason: asText(approval?.['rejection_reason'], 512),
        providerId: sid,
      };
    },

    async list(account) {
      const found: RemoteTemplate[] = [];
      let path: string | null = '/v1/ContentAndApprovals?PageSize=200';
      for (let page = 0; page < PAGES_MAX && path !== null; page += 1) {
        const answer: Record<string, unknown> | null = asObject(await call(account, 'GET', path));
        found.push(...asArray(answer?.['contents']).flatMap(readContent));
        path = nextPath(asObject(answer?.['meta'])?.['next_page_url']);
      }
      return found;
    },
  };
}

function readContent(value: unknown): RemoteTemplate[] {
  const content = asObject(value);
  const providerId = asText(content?.['sid'], 64);
  if (content === null || providerId === null) return [];
  const approval = asObject(content['approval_requests']);
  return [
    {
      name: asText(content['friendly_name'], 512) ?? providerId,
      language: asText(content['language'], 64) ?? 'en',
      status: statusOf(approval?.['status']),
      category: (asText(approval?.['category'], 64) ?? 'UTILITY').toUpperCase(),
      components: componentsOf(asObject(content['types']) ?? {}),
      reason: asText(approval?.['rejection_reason'], 512),
      providerId,
    },
  ];
}

/** Twilio's word in ours: what was never handed in may be sent within the window only. */
function statusOf(value: unknown): string {
  const word = (asText(value, 64) ?? 'unsubmitted').toUpperCase();
  return word === 'RECEIVED' ? 'PENDING' : word;
}

function typesOf({ components }: NewTemplate): Record<string, unknown> {
  const part = (type: string) => components.find((one) => one['type'] === type);
  if (part('HEADER') !== undefined || part('FOOTER') !== undefined) {
    throw new UnsupportedMessage('components', 'At Twilio only a body and quick replies can be made from here.');
  }
  const body = asText(part('BODY')?.['text'], 1_600);
  if (body === null) throw new UnsupportedMessage('body', 'Give a body of 1 to 1,600 characters.');
  const buttons = asArray(part('BUTTONS')?.['buttons']).map((button) => asObject(button) ?? {});
  if (buttons.length === 0) return { 'twilio/text': { body } };
  if (buttons.some((button) => button['type'] !== 'QUICK_REPLY')) {
    throw new UnsupportedMessage('components', 'At Twilio only quick replies can be made from here.');
  }
  const actions = buttons.map((button, n) => ({ title: String(button['text']), id: `reply_${n + 1}` }));
  return { 'twilio/quick-reply': { body, actions } };
}

function componentsOf(types: Readonly<Record<string, unknown>>): TemplateComponent[] {
  const shown = Object.values(types).map((type) => asObject(type) ?? {});
  const text = shown
    .map((type) => asText(type['body'], 4_096) ?? asText(type['title'], 4_096))
    .find((one) => one !== null);
  const replies = shown
    .flatMap((type) => asArray(type['actions']))
    .flatMap((action) => asText(asObject(action)?.['title'], 100) ?? []);
  return [
    ...(text == null ? [] : [{ type: 'BODY', text }]),
    ...(replies.length === 0
      ? []
      : [{ type: 'BUTTONS', buttons: replies.map((reply) => ({ type: 'QUICK_REPLY', text: reply })) }]),
  ];
}

/** Variable → example, as Twilio wants it for the approval. */
function examplesOf(components: readonly TemplateComponent[]): Record<string, string> {
  const body = components.find((part) => part['type'] === 'BODY');
  const names = [
    ...new Set(
      [...(asText(body?.['text'], 4_096) ?? '').matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((found) => found[1] ?? ''),
    ),
  ];
  const example = asObject(body?.['example']);
  const positional = asArray(asArray(example?.['body_text'])[0]);
  const named = asArray(example?.['body_text_named_params']).map((one) => asObject(one) ?? {});
  return Object.fromEntries(
    names.map((name, n) => {
      const given = named.find((one) => one['param_name'] === name)?.['example'] ?? positional[n];
      return [name, typeof given === 'string' ? given : name];
    }),
  );
}

function nextPath(value: unknown): string | null {
  const text = asText(value, 4_000);
  if (text === null || !URL.canParse(text)) return null;
  const { pathname, search } = new URL(text);
  return pathname + search;
}

function call(account: TemplateAccount, method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
  const { accountSid, authToken, apiKeySid, apiKeySecret } = account.credentials;
  if (accountSid === undefined) throw new AccountError('credentials', 'Set the account SID of this sender.');
  const user = headerSecret(apiKeySid ?? accountSid, 'account SID or API key SID');
  const secret = headerSecret(apiKeySid === undefined ? authToken : apiKeySecret, 'auth token or API key secret');
  const url = new URL(path, baseUrl(account.apiUrl, 'https://content.twilio.com'));
  const authorization = `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`;
  return templateCall({ method, url, headers: { authorization }, body }, (answer) =>
    asText(asObject(answer)?.['message'], 2_000),
  );
}
