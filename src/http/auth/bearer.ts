/** Longest credential that is looked at; real ones are far shorter. */
const CREDENTIAL_CHARACTERS_MAX = 8192;

/** The credential of `Authorization: Bearer …`; null when there is none of that form. */
export function bearerOf(header: string | undefined): string | null {
  if (header === undefined || header.length > CREDENTIAL_CHARACTERS_MAX) return null;
  return /^Bearer +([\x21-\x7e]+) *$/i.exec(header)?.[1] ?? null;
}
