import { redact } from './redact.ts';
import type { ProviderStatus } from './contract.ts';

/** JSON characters of the rest of one status: statuses are the most numerous rows, and a field may hold a picture. */
const CHARACTERS_MAX = 4_096;
const NAMES_MAX = 50;
const NAME_CHARACTERS_MAX = 64;
/** Under this name stand the names of the fields for which there was no room. */
const LEFT_OUT = 'left_out';

export interface StatusFields {
  /** Fields that have a place of their own, or that say nothing of the message. */
  readonly placed: ReadonlySet<string>;
  /** Fields that providers are known to send beside them. Others are counted. */
  readonly known: ReadonlySet<string>;
}

/** What a provider told of a status beyond what has a place of its own, as far as there is room for it. */
export function restOf(
  raw: Readonly<Record<string, unknown>>,
  { placed, known }: StatusFields,
): Pick<ProviderStatus, 'more' | 'unknownFields'> {
  const rest = Object.entries(raw).filter(([name]) => !placed.has(name));
  if (rest.length === 0) return {};
  let room = CHARACTERS_MAX;
  const kept: [string, unknown][] = [];
  const leftOut: string[] = [];
  for (const [name, value] of rest) {
    const size = sizeOf(name, value);
    if (size <= room) {
      room -= size;
      kept.push([name, value]);
    } else if (leftOut.length < NAMES_MAX) leftOut.push(name.slice(0, NAME_CHARACTERS_MAX));
  }
  const unknownFields = rest
    .filter(([name]) => !known.has(name))
    .slice(0, NAMES_MAX)
    .map(([name]) => name.slice(0, NAME_CHARACTERS_MAX));
  return {
    more: Object.fromEntries(leftOut.length === 0 ? kept : [...kept, [LEFT_OUT, leftOut]]),
    ...(unknownFields.length === 0 ? {} : { unknownFields }),
  };
}

/** The errors behind the first one, fit to be kept: a provider's text may repeat a number or a token. */
export function furtherErrors(errors: readonly unknown[]): { readonly errors?: unknown } {
  if (errors.length < 2) return {};
  try {
    const told = JSON.stringify(errors.slice(1), (_name, value: unknown) =>
      typeof value === 'string' ? redact(value) : value,
    );
    return { errors: JSON.parse(told) as unknown };
  } catch {
    return {};
  }
}

function sizeOf(name: string, value: unknown): number {
  try {
    return name.length + JSON.stringify(value ?? null).length + 4;
  } catch {
    // Nested more deeply than JSON can be written.
    return Number.POSITIVE_INFINITY;
  }
}
