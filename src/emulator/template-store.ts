import { createHash } from 'node:crypto';
import { z } from 'zod';
import { badParameter, objectAt, oneOf, textAt } from './checks.ts';
import { GraphError } from './graph-error.ts';
import { ControlError, isPlainObject, parseControl, type TemplateSettings } from './settings.ts';
import type { World } from './world.ts';

const CATEGORIES = ['MARKETING', 'UTILITY', 'AUTHENTICATION'];
const STATUS_EVENTS = ['APPROVED', 'PENDING', 'REJECTED', 'PAUSED', 'DISABLED'] as const;
const PAGE_MAX = 250;

/** `POST /{account}/message_templates`: it waits for the review, which `/_emulator/templates/status` gives. */
export function createTemplate(world: World, accountId: string, given: unknown): unknown {
  const { businessAccountId } = world.settings();
  if (accountId !== businessAccountId) {
    throw new GraphError(100, {
      status: 400,
      message: `Unsupported post request. Object with ID '${accountId}' does not exist`,
    });
  }
  const request = objectAt(given, 'template');
  const name = textAt(request['name'], 'name', 512);
  const language = textAt(request['language'], 'language', 16);
  const category = oneOf(request['category'], 'category', CATEGORIES);
  if (!/^[a-z0-9_]+$/.test(name))
    throw badParameter('Param name must have small letters, digits and underscores only.');
  const { components } = request;
  if (!Array.isArray(components) || !components.every(isPlainObject))
    throw badParameter('Param components must be a list.');
  const body = components.find((part) => String(part['type']).toUpperCase() === 'BODY')?.['text'];
  if (typeof body !== 'string' || body === '') throw badParameter('Param components must have a BODY with a text.');
  const templates = world.settings().templates ?? [];
  if (templates.some((one) => one.name === name && one.language === language)) {
    const message = 'There is already content in this language for this template.';
    throw new GraphError(100, { status: 400, message, details: message });
  }
  const made = { name, language, category, body, components, status: 'PENDING' };
  world.change({ templates: [...templates, made] });
  return { id: templateId(made), status: 'PENDING', category };
}

/** `GET /{account}/message_templates`, a page at a time. */
export function listTemplates(world: World, query: { readonly limit?: string; readonly after?: string }): unknown {
  const all = world.settings().templates ?? [];
  const from = Number(query.after ?? 0) || 0;
  const until = from + Math.min(PAGE_MAX, Math.max(1, Number(query.limit ?? 25) || 25));
  const cursors = { before: String(from), after: String(Math.min(until, all.length)) };
  return {
    data: all.slice(from, until).map(templateView),
    paging: { cursors, ...(until < all.length ? { next: `https://graph.facebook.com/next?after=${until}` } : {}) },
  };
}

const statusSchema = z.strictObject({
  name: z.string().min(1),
  language: z.string().min(2),
  status: z.enum(STATUS_EVENTS),
  reason: z.string().max(512).nullable().default(null),
  /** False = the webhook is not sent, as if it were lost. */
  webhook: z.boolean().default(true),
});

/** Changes a template's status as a reviewer or Meta's pacing would, and sends `message_template_status_update`. */
export function setTemplateStatus(world: World, given: unknown): TemplateSettings {
  const { name, language, status, reason, webhook } = parseControl(statusSchema, given, 'status');
  const templates = world.settings().templates ?? [];
  const found = templates.find((one) => one.name === name && one.language === language);
  if (found === undefined) throw new ControlError('There is no such template.', { status: 404 });
  const changed = { ...found, status };
  world.change({ templates: templates.map((one) => (one === found ? changed : one)) });
  if (webhook) {
    world.outbox.sendChange('message_template_status_update', {
      event: status,
      message_template_id: Number(templateId(found)),
      message_template_name: name,
      message_template_language: language,
      reason: reason ?? 'NONE',
    });
  }
  return changed;
}

function templateView(template: TemplateSettings): unknown {
  const { name, language, status, category, body, buttons, components } = template;
  return {
    name,
    language,
    status,
    category,
    id: templateId(template),
    components: components ?? [
      ...(body === undefined ? [] : [{ type: 'BODY', text: body }]),
      ...(buttons.length === 0
        ? []
        : [{ type: 'BUTTONS', buttons: buttons.map((text) => ({ type: 'QUICK_REPLY', text })) }]),
    ],
  };
}

/** The same for the same template, as long as a number may be: webhooks carry it as one. */
function templateId({
  id,
  name,
  language,
}: {
  readonly id?: string | undefined;
  readonly name: string;
  readonly language: string;
}): string {
  return (
    id ?? String(Number.parseInt(createHash('sha256').update(`${name} ${language}`).digest('hex').slice(0, 12), 16))
  );
}
