import { GraphError } from './graph-error.ts';
import { isPlainObject } from './settings.ts';

/** Small checks that speak like Meta: each throws the `GraphError` that the Cloud API would answer with. */

export function missing(param: string): GraphError {
  return new GraphError(131008, { details: `Required parameter ${param} is missing.` });
}

export function badValue(details: string): GraphError {
  return new GraphError(131009, { details });
}

export function badParameter(details: string): GraphError {
  return new GraphError(100, { details, message: '(#100) Invalid parameter' });
}

export function characters(text: string): number {
  // Only long texts pay for counting code points: a string has never more of them than UTF-16 units.
  let count = 0;
  for (const point of text) count += point.length > 0 ? 1 : 0;
  return count;
}

export function objectAt(value: unknown, param: string): Record<string, unknown> {
  if (value === undefined || value === null) throw missing(param);
  if (!isPlainObject(value)) throw badParameter(`Param ${param} must be an object.`);
  return value;
}

export function listAt(value: unknown, param: string, size: { min: number; max: number }): unknown[] {
  if (value === undefined || value === null) throw missing(param);
  if (!Array.isArray(value)) throw badParameter(`Param ${param} must be an array.`);
  if (value.length < size.min || value.length > size.max)
    throw badValue(`Param ${param} must have between ${size.min} and ${size.max} items, got ${value.length}.`);
  return value;
}

/** A required text; `max` in characters. */
export function textAt(value: unknown, param: string, max: number): string {
  if (value === undefined || value === null) throw missing(param);
  if (typeof value !== 'string') throw badParameter(`Param ${param} must be a string.`);
  if (value.length === 0) throw badValue(`Param ${param} must not be empty.`);
  if (value.length > max && characters(value) > max)
    throw badParameter(`Param ${param} must be at most ${max} characters long.`);
  return value;
}

export function optionalTextAt(value: unknown, param: string, max: number): void {
  if (value !== undefined) textAt(value, param, max);
}

export function optionalBooleanAt(value: unknown, param: string): void {
  if (value !== undefined && typeof value !== 'boolean') throw badParameter(`Param ${param} must be a boolean.`);
}

export function oneOf(value: unknown, param: string, allowed: readonly string[]): string {
  if (value === undefined || value === null) throw missing(param);
  if (typeof value !== 'string' || !allowed.includes(value))
    throw badParameter(`Param ${param} must be one of {${allowed.join(', ')}} - got "${shown(value)}".`);
  return value;
}

/** Refuses keys that the API does not know, as it does for a misspelt one. */
export function onlyKeys(
  value: Record<string, unknown>,
  param: string,
  allowed: ReadonlySet<string>,
  strict: boolean,
): void {
  if (!strict) return;
  for (const key of Object.keys(value)) {
    if (!allowed.has(key))
      throw badParameter(param ? `Unexpected key "${key}" on param "${param}".` : `Unexpected key "${key}".`);
  }
}

/** Exactly one of `id` and `link`. */
export function checkMediaSource(media: Record<string, unknown>, param: string): void {
  const { id, link } = media;
  if ((id === undefined) === (link === undefined))
    throw badParameter(`Param ${param} must have exactly one of 'id' and 'link'.`);
  if (id !== undefined && (typeof id !== 'string' || !/^\d{1,64}$/.test(id)))
    throw badParameter(`Param ${param}['id'] must be a media id.`);
  if (link !== undefined && !isHttpUrl(link)) throw badParameter(`Param ${param}['link'] is not a valid URI.`);
}

export function isHttpUrl(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 2048 && /^https?:\/\//i.test(value) && URL.canParse(value);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, 64) : typeof value;
}
