import { AppError } from '../errors/app-error.ts';
import type { TemplateRecord } from '../record/index.ts';

export interface TemplateVariable {
  /** `header` or `body`. */
  readonly component: string;
  /** `1`, `2` … or a name. */
  readonly name: string;
  readonly example: string | null;
}

export interface TemplatePreview {
  readonly header: string | null;
  readonly body: string | null;
  readonly footer: string | null;
  readonly buttons: readonly string[];
  /** Goes as `template` into POST /v1/messages. */
  readonly template: Readonly<Record<string, unknown>>;
}

type Component = Readonly<Record<string, unknown>>;
const PLACE = /\{\{\s*(\w+)\s*\}\}/g;
const WITH_TEXT = ['HEADER', 'BODY'] as const;

/** The places in a template's texts, in the order in which a reader meets them. */
export function variablesOf({ components }: Pick<TemplateRecord, 'components'>): TemplateVariable[] {
  return WITH_TEXT.flatMap((type) => {
    const component = part(components, type);
    return placesOf(textOf(component)).map((name, n) => ({
      component: type.toLowerCase(),
      name,
      example: exampleOf(component, name, n),
    }));
  });
}

/**
 * The template as a customer reads it.
 * @param values by variable; those of a header stand under `header.<name>`, or under the plain name as the body's
 * @throws AppError `REQUEST_INVALID` for a variable that is missing or that the template does not have
 */
export function previewOf(template: TemplateRecord, values: Readonly<Record<string, string>>): TemplatePreview {
  const variables = variablesOf(template);
  const valueOf = ({ component, name }: TemplateVariable) => values[`${component}.${name}`] ?? values[name];
  const missing = variables.find((variable) => valueOf(variable) === undefined);
  if (missing !== undefined) {
    const detail = `The template needs a value for {{${missing.name}}} in its ${missing.component}.`;
    throw new AppError('REQUEST_INVALID', { field: `variables.${missing.name}`, detail });
  }
  const known = new Set(variables.flatMap(({ component, name }) => [name, `${component}.${name}`]));
  const strange = Object.keys(values).find((name) => !known.has(name));
  if (strange !== undefined) {
    const detail = `The template has no such variable. It has: ${variables.map(({ name }) => name).join(', ') || 'none'}.`;
    throw new AppError('REQUEST_INVALID', { field: `variables.${strange}`, detail });
  }
  const filled = (type: (typeof WITH_TEXT)[number]) => {
    const text = textOf(part(template.components, type));
    if (text === null) return null;
    return text.replace(PLACE, (_whole, name: string) => {
      const value = valueOf({ component: type.toLowerCase(), name, example: null });
      return value ?? '';
    });
  };
  const components = ['header', 'body'].flatMap((component) => {
    const own = variables.filter((variable) => variable.component === component);
    if (own.length === 0) return [];
    const parameters = own.map((variable) => ({
      type: 'text',
      ...(/^\d+$/.test(variable.name) ? {} : { parameter_name: variable.name }),
      text: valueOf(variable) ?? '',
    }));
    return [{ type: component, parameters }];
  });
  return {
    header: filled('HEADER'),
    body: filled('BODY'),
    footer: textOf(part(template.components, 'FOOTER')),
    buttons: buttonsOf(template.components),
    template: {
      name: template.provider === 'twilio' ? (template.providerId ?? template.name) : template.name,
      language: { code: template.language },
      ...(components.length === 0 ? {} : { components }),
    },
  };
}

function part(components: readonly Component[], type: string): Component | undefined {
  return components.find((component) => String(component['type']).toUpperCase() === type);
}

function textOf(component: Component | undefined): string | null {
  const text = component?.['text'];
  return typeof text === 'string' ? text : null;
}

function placesOf(text: string | null): string[] {
  return [...new Set([...(text ?? '').matchAll(PLACE)].map((found) => found[1] ?? ''))];
}

function buttonsOf(components: readonly Component[]): string[] {
  const buttons = part(components, 'BUTTONS')?.['buttons'];
  return Array.isArray(buttons) ? buttons.map((button: Component) => String(button['text'] ?? button['type'])) : [];
}

/** Meta keeps examples by place, or by name. */
function exampleOf(component: Component | undefined, name: string, n: number): string | null {
  const example = (component?.['example'] ?? {}) as Readonly<Record<string, unknown>>;
  const named = [
    ...listOf(example['body_text_named_params']),
    ...listOf(example['header_text_named_params']),
  ] as Component[];
  const byName = named.find((one) => one['param_name'] === name)?.['example'];
  const found = byName ?? listOf(listOf(example['body_text'])[0])[n] ?? listOf(example['header_text'])[n];
  return typeof found === 'string' ? found : null;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}
