/** PostgreSQL stores no NUL in text, and jsonb refuses it and half a surrogate pair even when escaped. */
const SUSPECT_JSON = /\\u(?:0000|d[89a-f])/i;
const REPLACEMENT = '\uFFFD';

/** Text as PostgreSQL can store it: what it cannot hold becomes U+FFFD. */
export function storableText(text: string): string {
  // The way through UTF-8 replaces half surrogate pairs.
  return Buffer.from(text.replaceAll('\0', REPLACEMENT), 'utf8').toString('utf8');
}

/** A value as JSON text that `jsonb` takes. Undefined becomes null, as everywhere in JSON. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) return 'null';
  // The test finds every suspect and also harmless text that looks like one; only these pay for the walk.
  return SUSPECT_JSON.test(json) ? JSON.stringify(cleaned(value)) : json;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [storableText(key), cleaned(item)]));
  }
  return value;
}
