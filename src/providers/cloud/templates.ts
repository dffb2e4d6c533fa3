import { AccountError, baseUrl, headerSecret } from '../account-error.ts';
import { asArray, asObject, asText } from '../json.ts';
import { templateCall } from '../template-call.ts';
import {
  type RemoteTemplate,
  type TemplateAccount,
  TemplateCallError,
  type TemplateProvider,
} from '../template-provider.ts';

const FIELDS = 'id,name,language,status,category,components,rejected_reason';
const PAGE = '200';
/** 6,000 templates are the most that Meta allows an account. */
const PAGES_MAX = 60;

/** Message templates of a WhatsApp business account, over Meta's Graph API. */
export function createCloudTemplates(): TemplateProvider {
  return {
    name: 'cloud',
    async create(account, { name, language, category, components }) {
      const isNamed = /\{\{\s*[a-z_]\w*\s*\}\}/i.test(JSON.stringify(components));
      const made = asObject(
        await call(account, 'POST', {
          ...{ name, language, category, components },
          ...(isNamed ? { parameter_format: 'NAMED' } : {}),
        }),
      );
      const id = asText(made?.['id'], 64);
      if (id === null) throw new TemplateCallError('unknown', 'The provider answered without an id.');
      return {
        ...{ name, language, components },
        status: (asText(made?.['status'], 64) ?? 'PENDING').toUpperCase(),
        category: asText(made?.['category'], 64) ?? category,
        reason: null,
        providerId: id,
      };
    },

    async list(account) {
      const found: RemoteTemplate[] = [];
      let after: string | null = null;
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const query: Record<string, string> = { fields: FIELDS, limit: PAGE, ...(after === null ? {} : { after }) };
        const answer = asObject(await call(account, 'GET', undefined, query));
        found.push(...asArray(answer?.['data']).flatMap(readTemplate));
        const paging = asObject(answer?.['paging']);
        const next = asText(asObject(paging?.['cursors'])?.['after'], 2_000);
        if (paging?.['next'] === undefined || next === null || next === after) return found;
        after = next;
      }
      return found;
    },
  };
}

function readTemplate(value: unknown): RemoteTemplate[] {
  const template = asObject(value);
  const name = asText(template?.['name'], 512);
  const language = asText(template?.['language'], 64);
  if (template === null || name === null || language === null) return [];
  const reason = asText(template['rejected_reason'], 512);
  return [
    {
      name,
      language,
      status: (asText(template['status'], 64) ?? 'UNKNOWN').toUpperCase(),
      category: (asText(template['category'], 64) ?? 'UTILITY').toUpperCase(),
      components: asArray(template['components']).map((part) => asObject(part) ?? {}),
      reason: reason === 'NONE' ? null : reason,
      providerId: asText(template['id'], 64) ?? `${name}/${language}`,
    },
  ];
}

function call(
  account: TemplateAccount,
  method: 'GET' | 'POST',
  body: unknown,
  query: Record<string, string> = {},
): Promise<unknown> {
  if (!/^\d{1,32}$/.test(account.accountId)) {
    throw new AccountError('address', 'Set WHATSAPP_BUSINESS_ACCOUNT_ID, or the portfolio of the sender: digits only.');
  }
  const base = baseUrl(account.apiUrl, 'https://graph.facebook.com/v23.0');
  const url = new URL(`${base.pathname.replace(/\/+$/, '')}/${account.accountId}/message_templates`, base.origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const authorization = `Bearer ${headerSecret(account.credentials['accessToken'], 'access token')}`;
  return templateCall({ method, url, headers: { authorization }, body }, (answer) => {
    const error = asObject(asObject(answer)?.['error']);
    const parts = [error?.['error_user_msg'], error?.['message'], asObject(error?.['error_data'])?.['details']];
    return asText(
      parts.find((part) => typeof part === 'string' && part !== ''),
      2_000,
    );
  });
}
