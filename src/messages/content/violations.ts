import type { z } from 'zod';

/** What is wrong with one field of a request, for the caller. */
export interface Violation {
  /** Path as a caller writes it: `text.body`, `interactive.action.buttons[0].reply.title`; empty for the whole. */
  readonly field: string;
  /** What to do, as sentences. Never holds the value that was sent. */
  readonly sentence: string;
}

/**
 * Turns zod's issues into sentences, one per field at fault, in the order in which zod found them.
 * @param prefix path of what was validated within the request, such as `messages[3]`
 */
export function describeViolations(error: Pick<z.ZodError, 'issues'>, prefix = ''): Violation[] {
  const seen = new Set<string>();
  return error.issues
    .flatMap((issue) => violationsOf(issue, prefix))
    .filter(({ field }) => {
      // One sentence per field: what follows the first is mostly its consequence.
      if (seen.has(field)) return false;
      seen.add(field);
      return true;
    });
}

function violationsOf(issue: z.core.$ZodIssue, prefix: string): Violation[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: joinPath(prefix, [...issue.path, key]),
      sentence: 'This field is not known here; remove it or correct its name.',
    }));
  }
  return [{ field: joinPath(prefix, issue.path), sentence: sentenceOf(issue) }];
}

function joinPath(prefix: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>((joined, part) => {
    if (typeof part === 'number') return `${joined}[${part}]`;
    return joined === '' ? String(part) : `${joined}.${String(part)}`;
  }, prefix);
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      // zod leaves the input out of its issues, as it should; only its message tells a missing field from a wrong one.
      return issue.message.endsWith('received undefined')
        ? 'This field is required.'
        : `It must be ${withArticle(issue.expected)}.`;
    case 'too_big':
      return `It may ${amount(issue.origin, 'at most', Number(issue.maximum))}.`;
    case 'too_small':
      return `It must ${amount(issue.origin, 'at least', Number(issue.minimum))}.`;
    case 'invalid_value':
      return `It must be ${issue.values.map((value) => JSON.stringify(value)).join(' or ')}.`;
    case 'invalid_format':
      return formatSentence(issue);
    case 'invalid_union':
      return unionSentence(issue);
    default:
      return asSentence(issue.message);
  }
}

const FORMATS: Readonly<Record<string, string>> = {
  datetime: 'It must be an ISO 8601 time with a time zone, such as 2027-01-31T09:30:00Z.',
  email: 'It must be an e-mail address such as ada@example.com.',
  url: 'It must be an address such as https://example.com/path.',
  uuid: 'It must be a UUID.',
};

/** zod's own words begin with "Invalid" and do not say what would be right; a schema's own sentence does. */
function formatSentence({ format, message }: z.core.$ZodIssueInvalidStringFormat): string {
  const known = message.startsWith('Invalid ') ? FORMATS[format] : undefined;
  return known ?? asSentence(message);
}

function asSentence(message: string): string {
  return message.endsWith('.') ? message : `${message}.`;
}

/** A union with an `error` of its own has a sentence; zod's default text has none that helps. */
function unionSentence(issue: z.core.$ZodIssueInvalidUnion): string {
  if (issue.discriminator !== undefined) {
    const options = 'options' in issue && Array.isArray(issue.options) ? (issue.options as unknown[]) : [];
    const named = options.map((value) => JSON.stringify(value)).join(', ');
    return named === '' ? 'It must be one of the known types.' : `It must be one of ${named}.`;
  }
  return issue.message === 'Invalid input' ? 'It has none of the allowed forms.' : issue.message;
}

function amount(origin: string, bound: string, count: number): string {
  const number = count.toLocaleString('en');
  switch (origin) {
    case 'string':
      return `have ${bound} ${number} ${count === 1 ? 'character' : 'characters'}`;
    case 'array':
      return `have ${bound} ${number} ${count === 1 ? 'item' : 'items'}`;
    default:
      return `be ${bound} ${number}`;
  }
}

function withArticle(expected: string): string {
  const words: Record<string, string> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    array: 'a list',
    object: 'an object',
    record: 'an object',
  };
  return words[expected] ?? `of type ${expected}`;
}
