/** What stands in example files where a secret belongs: everybody can read these, so they protect nothing. */
const PLACEHOLDER = /^(replace-with-.*|change-?me.*|<.*>)$/is;

/** A key that was in force opens what it sealed, so that who started with a placeholder can still leave it. */
const ALLOWED = new Set(['WAXWING_SECRET_KEY_PREVIOUS']);

export const PLACEHOLDER_EXPECTED =
  'a secret of your own: this is the placeholder of an example; make one with: openssl rand -hex 32';

/** Is the value of a secret setting, one of several with commas between them, or the password in an address a placeholder. */
export function isPlaceholder(name: string, value: string): boolean {
  if (ALLOWED.has(name)) return false;
  return [...value.split(',').map((one) => one.trim()), ...passwordOf(value)].some((one) => PLACEHOLDER.test(one));
}

function passwordOf(value: string): string[] {
  if (!URL.canParse(value)) return [];
  const { password } = new URL(value);
  try {
    return [decodeURIComponent(password)];
  } catch {
    // A lone % is a password that somebody typed, not one of an example.
    return [password];
  }
}
