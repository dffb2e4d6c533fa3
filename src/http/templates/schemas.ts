import { z } from 'zod';
import { senderIdSchema, tenantIdSchema } from '../../messages/request.ts';
import { TEMPLATE_CATEGORIES } from '../../providers/template-provider.ts';
import type { TemplateRecord } from '../../record/index.ts';
import { variablesOf } from '../../templates/index.ts';
import { pageQuery } from '../paging.ts';

const key = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/, {
    error: 'It must have 1 to 200 characters: letters, digits and _ . - (the first one a letter or digit).',
  })
  .describe('Your name of it.');
const name = z
  .string()
  .regex(/^[a-z0-9_]{1,512}$/, { error: 'It must have 1 to 512 characters: small letters, digits and _.' });
const language = z.string().regex(/^[a-z]{2,3}(_[A-Z]{2}|_[A-Z][a-z]{3})?$/, {
  error: 'Give a language as WhatsApp writes it, such as en or pt_BR.',
});

export const templateScope = z.object({ tenant: tenantIdSchema.optional() });
export const templateParams = z.object({ id: z.string().max(100) });
export const templateList = pageQuery.extend({
  tenant: tenantIdSchema.optional().describe('Its own templates and those of the platform.'),
  key: z.string().max(200).optional(),
  language: z.string().max(64).optional(),
  status: z.string().max(64).optional().describe('The word of the provider, such as APPROVED.'),
});

const examples = z.record(z.string().max(64), z.string().min(1).max(1024));
export const templateBody = z
  .object({
    tenant: tenantIdSchema.nullable().optional().describe('Left out by a platform key: for every tenant.'),
    sender: senderIdSchema.optional().describe('Whose account it is made in; default as for a message.'),
    key,
    name: name.optional().describe('At the provider; default: the key in small letters, other characters as _.'),
    language,
    category: z.enum(TEMPLATE_CATEGORIES),
    body: z.string().min(1).max(1024).optional().describe('Text with {{1}} or {{name}}.'),
    examples: examples.optional().describe('An example for every variable of `body`; providers want them.'),
    components: z
      .array(z.looseObject({ type: z.string().min(1).max(32) }))
      .min(1)
      .max(10)
      .optional()
      .describe("Instead of `body`: all parts in Meta's shape, with header, footer, buttons."),
  })
  .strict();

export const syncBody = z.object({ tenant: tenantIdSchema.optional(), sender: senderIdSchema.optional() }).strict();
export const syncAnswer = z.object({
  found: z.int().min(0).describe('Templates that the account has.'),
  added: z.int().min(0),
  changed: z.int().min(0).describe('That have another status than before.'),
});

export const previewBody = z
  .object({
    tenant: tenantIdSchema.optional(),
    variables: z.record(z.string().max(80), z.string().max(1024)).default({}),
  })
  .strict();
export const previewAnswer = z.object({
  header: z.string().nullable(),
  body: z.string().nullable(),
  footer: z.string().nullable(),
  buttons: z.array(z.string()),
  template: z.record(z.string(), z.unknown()).describe('Goes as `template` into POST /v1/messages.'),
});

const time = z.string().describe('ISO 8601, UTC');
export const templateSchema = z
  .object({
    id: z.string(),
    tenant: z.string().nullable().describe('Null = for every tenant.'),
    key: z.string(),
    language: z.string(),
    provider: z.enum(['cloud', 'twilio']),
    account: z.string(),
    sender: z.string().nullable(),
    name: z.string(),
    category: z.string(),
    body: z.string().nullable(),
    variables: z.array(z.object({ component: z.string(), name: z.string(), example: z.string().nullable() })),
    components: z.array(z.record(z.string(), z.unknown())),
    status: z.string().describe('The word of the provider; DRAFT = not known to be there.'),
    reason: z.string().nullable(),
    providerId: z.string().nullable().describe("Meta's id; ContentSid at Twilio."),
    createdAt: time,
    updatedAt: time,
    syncedAt: time.nullable().describe('When the provider told the status.'),
  })
  .meta({ id: 'Template' });

export function templateView(template: TemplateRecord): z.input<typeof templateSchema> {
  const { createdAtMs, updatedAtMs, syncedAtMs, components, ...rest } = template;
  const body = components.find((part) => String(part['type']).toUpperCase() === 'BODY')?.['text'];
  return {
    ...rest,
    body: typeof body === 'string' ? body : null,
    variables: variablesOf(template),
    components: components.map((part) => ({ ...part })),
    createdAt: iso(createdAtMs),
    updatedAt: iso(updatedAtMs),
    syncedAt: syncedAtMs === null ? null : iso(syncedAtMs),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
