import { SETTINGS } from './catalogue.ts';
import { nearest } from './nearest.ts';
import type { ConfigProblem, ConfigWarning } from './problem.ts';

const KNOWN = Object.keys(SETTINGS);
/** Settings with a free part in their name. */
const FAMILIES = [/^TEMPLATE_SID_[A-Z0-9_]+$/];
/** What begins like this is meant for us, even when it comes from the real environment. */
const OURS = /^(WAXWING|WHATSAPP|WA|SENDER|TENANT|PAIR|DANGEROUSLY|ACCEPT|ON)_/;
/** Two slips make a typo; three make another word. */
const TYPO_EDITS_MAX = 2;

/**
 * Looks for names that nobody reads. A name that is nearly a known one is a problem, because a limit that is
 * misspelt silently does not apply; other strange names in the `.env` or under our prefixes are a warning.
 */
export function unknownNames(env: Readonly<Record<string, string | undefined>>, fromFile: ReadonlySet<string>) {
  const problems: ConfigProblem[] = [];
  const warnings: ConfigWarning[] = [];
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || KNOWN.includes(name) || FAMILIES.some((family) => family.test(name))) continue;
    if (!OURS.test(name) && !fromFile.has(name)) continue;
    const near = nearest(name.toUpperCase(), KNOWN, TYPO_EDITS_MAX);
    if (near !== null) problems.push({ key: name, expected: `no such setting; did you mean ${near}?`, got: '***' });
    else warnings.push({ key: name, text: `${name} is not a setting of Waxwing and has no effect.` });
  }
  return { problems, warnings };
}
