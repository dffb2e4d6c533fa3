import { badParameter, listAt, missing, objectAt, oneOf, onlyKeys, textAt } from './checks.ts';
import { GraphError } from './graph-error.ts';
import { isPlainObject, type TemplateSettings } from './settings.ts';

const KEYS = new Set(['name', 'namespace', 'language', 'components', 'category']);
const PARAMETER_TYPES = [
  'text',
  'currency',
  'date_time',
  'image',
  'video',
  'document',
  'location',
  'payload',
  'action',
  'coupon_code',
  'limited_time_offer',
  'product',
];

/** The shape of a `template` object; whether the template exists is `findTemplate`. */
export function checkTemplate(content: unknown, strict: boolean): void {
  const template = objectAt(content, 'template');
  onlyKeys(template, 'template', KEYS, strict);
  textAt(template['name'], "template['name']", 512);
  textAt(objectAt(template['language'], "template['language']")['code'], "template['language']['code']", 16);
  if (template['components'] === undefined) return;
  const components = listAt(template['components'], "template['components']", { min: 0, max: 30 });
  for (const [index, item] of components.entries()) checkComponent(item, `template['components'][${index}]`);
}

function checkComponent(value: unknown, param: string): void {
  const component = objectAt(value, param);
  const type = component['type'];
  const kinds = ['header', 'body', 'button', 'carousel', 'limited_time_offer', 'order_status'];
  const kind = oneOf(typeof type === 'string' ? type.toLowerCase() : type, `${param}['type']`, kinds);
  if (kind === 'button') {
    textAt(component['sub_type'], `${param}['sub_type']`, 32);
    const { index } = component;
    const place = typeof index === 'number' ? String(index) : index;
    if (typeof place !== 'string' || !/^\d$/.test(place)) throw badParameter(`Param ${param}['index'] must be 0 to 9.`);
  }
  if (component['parameters'] === undefined) return;
  for (const [index, item] of listAt(component['parameters'], `${param}['parameters']`, { min: 0, max: 100 }).entries())
    checkParameter(item, `${param}['parameters'][${index}]`);
}

function checkParameter(value: unknown, param: string): void {
  const parameter = objectAt(value, param);
  const type = parameter['type'];
  const kind = oneOf(typeof type === 'string' ? type.toLowerCase() : type, `${param}['type']`, PARAMETER_TYPES);
  if (kind === 'text') textAt(parameter['text'], `${param}['text']`, 32_768);
  else if (kind === 'payload' && typeof parameter['payload'] !== 'string') throw missing(`${param}['payload']`);
  else if (['image', 'video', 'document', 'location', 'currency', 'date_time'].includes(kind))
    objectAt(parameter[kind], `${param}['${kind}']`);
}

/**
 * The configured template of a send, or null when no list is configured. Throws what Meta answers when it is
 * unknown (132001), paused (132015), disabled (132016), or filled with another number of parameters (132000).
 */
export function findTemplate(content: unknown, templates: readonly TemplateSettings[] | null): TemplateSettings | null {
  if (templates === null || !isPlainObject(content)) return null;
  const name = String(content['name']);
  const language = isPlainObject(content['language']) ? String(content['language']['code']) : '';
  const template = templates.find((entry) => entry.name === name && entry.language === language);
  if (!template || template.status === 'PENDING' || template.status === 'REJECTED')
    throw new GraphError(132001, { details: `template name (${name}) does not exist in ${language}` });
  if (template.status === 'PAUSED') throw new GraphError(132015);
  if (template.status === 'DISABLED') throw new GraphError(132016);
  const expected = template.body === undefined ? null : placesOf(template.body).length;
  const given = bodyParameters(content).length;
  if (expected !== null && expected !== given)
    throw new GraphError(132000, {
      details: `body: number of localizable_params (${given}) does not match the expected number of params (${expected})`,
    });
  return template;
}

/** The template's text with its places filled, or null when its text is not known. */
export function filledTemplate(content: unknown, template: TemplateSettings | null): string | null {
  if (template?.body === undefined || !isPlainObject(content)) return null;
  const places = placesOf(template.body);
  const parameters = bodyParameters(content);
  return template.body.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, place: string) => {
    const named = parameters.find((parameter) => parameter['parameter_name'] === place);
    const parameter = named ?? parameters[places.indexOf(place)];
    return parameter ? parameterText(parameter) : whole;
  });
}

function placesOf(body: string): string[] {
  return [...new Set([...body.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((match) => match[1] ?? ''))];
}

function bodyParameters(content: Record<string, unknown>): Record<string, unknown>[] {
  const components = Array.isArray(content['components']) ? content['components'].filter(isPlainObject) : [];
  const body = components.find((component) => String(component['type']).toLowerCase() === 'body');
  return Array.isArray(body?.['parameters']) ? body['parameters'].filter(isPlainObject) : [];
}

function parameterText(parameter: Record<string, unknown>): string {
  if (typeof parameter['text'] === 'string') return parameter['text'];
  const fallback = parameter[String(parameter['type'])];
  return isPlainObject(fallback) && typeof fallback['fallback_value'] === 'string' ? fallback['fallback_value'] : '…';
}
