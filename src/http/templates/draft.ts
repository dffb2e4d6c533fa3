import type { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import type { TemplateDraft } from '../../templates/index.ts';
import type { templateBody } from './schemas.ts';

/**
 * The template that a request describes, in Meta's shape.
 * @throws AppError `REQUEST_INVALID` when neither body nor components are given, both are, or an example is missing
 */
export function draftOf(given: z.output<typeof templateBody>): TemplateDraft {
  const { key, name, language, category } = given;
  return { key, name, language, category, components: partsOf(given) };
}

type Part = Readonly<Record<string, unknown>>;
type Examples = NonNullable<z.output<typeof templateBody>['examples']>;

function partsOf({ body, examples = {}, components }: z.output<typeof templateBody>): Part[] {
  if (components !== undefined && body !== undefined) {
    throw new AppError('REQUEST_INVALID', { field: 'components', detail: 'Give either body or components, not both.' });
  }
  if (components !== undefined) return components.map((part) => ({ ...part, type: part.type.toUpperCase() }));
  if (body === undefined) {
    throw new AppError('REQUEST_INVALID', {
      field: 'body',
      detail: 'Give the text of the template: body or components.',
    });
  }
  return [bodyPart(body, examples)];
}

/** A plain body in Meta's shape, with its examples by place or by name. */
function bodyPart(body: string, examples: Examples): Part {
  const names = [...new Set([...body.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map((found) => found[1] ?? ''))];
  const missing = names.find((name) => examples[name] === undefined);
  if (missing !== undefined) {
    const detail = `WhatsApp wants an example for every variable: give one for {{${missing}}}.`;
    throw new AppError('REQUEST_INVALID', { field: `examples.${missing}`, detail });
  }
  if (names.length === 0) return { type: 'BODY', text: body };
  const isPositional = names.every((name) => /^\d+$/.test(name));
  const example = isPositional
    ? { body_text: [names.map((name) => examples[name])] }
    : { body_text_named_params: names.map((name) => ({ param_name: name, example: examples[name] })) };
  return { type: 'BODY', text: body, example };
}
