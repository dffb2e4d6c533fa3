/** Deeper than any message of the Cloud API; what is deeper is an attack on recursive code. */
const DEPTH_MAX = 32;

export interface JsonFault {
  /** Path of the value at fault: `text.body`, `contacts[0].name`. */
  readonly field: string;
  readonly detail: string;
}

/**
 * Looks for values that parse as JSON and yet cannot be stored: texts with a NUL character (PostgreSQL has none) or
 * with half a surrogate pair, numbers beyond the range of a double, nesting beyond 32 levels.
 * Goes level by level without recursion, so that no depth can exhaust the stack.
 * @returns the first fault, or null
 */
export function findJsonFault(value: unknown): JsonFault | null {
  let level: [path: string, value: unknown][] = [['', value]];
  for (let depth = 0; level.length > 0; depth++) {
    const next: [string, unknown][] = [];
    for (const [path, one] of level) {
      const detail = faultOf(one);
      if (detail !== null) return { field: path, detail };
      if (typeof one !== 'object' || one === null) continue;
      if (depth >= DEPTH_MAX) return { field: path, detail: `Nest values at most ${DEPTH_MAX} levels deep.` };
      if (Array.isArray(one)) {
        one.forEach((item, index) => next.push([`${path}[${index}]`, item]));
      } else {
        for (const [key, item] of Object.entries(one)) {
          const inner = path === '' ? key : `${path}.${key}`;
          if (faultOf(key) !== null)
            return { field: path, detail: 'Remove characters that are not valid text from the names.' };
          next.push([inner, item]);
        }
      }
    }
    level = next;
  }
  return null;
}

function faultOf(value: unknown): string | null {
  if (typeof value === 'string') {
    if (value.includes('\u0000')) return 'Remove the NUL character (\\u0000) from the text.';
    if (/\p{Surrogate}/u.test(value)) return 'Remove the half surrogate pair from the text; it is not valid Unicode.';
  }
  if (typeof value === 'number' && !Number.isFinite(value)) return 'Give a number that fits into a double.';
  return null;
}
