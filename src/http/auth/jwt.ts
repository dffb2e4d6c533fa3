import { errors, jwtVerify, SignJWT } from 'jose';

/** What a person may do: viewers read, operators also pause and resume, admins do everything. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Person {
  readonly role: Role;
  /** Claim `sub`; stands in the audit. */
  readonly name: string;
}

export interface JwtSettings {
  readonly secret: string;
  readonly audience: string | undefined;
  readonly issuer: string | undefined;
}

export type JwtResult =
  | { readonly kind: 'person'; readonly person: Person }
  /** Not a token of ours, or not valid now. */
  | { readonly kind: 'invalid' }
  /** Ours and valid, but with no role that we know. */
  | { readonly kind: 'no-role' };

/** Clocks of two machines differ a little. */
const CLOCK_TOLERANCE_SECONDS = 5;
const key = (secret: string) => new TextEncoder().encode(secret);

/**
 * Checks a token: HS256 with our secret and nothing else, whatever its header says; `exp`, `nbf`, and `aud` and `iss`
 * when the settings name them.
 */
export async function verifyJwt(token: string, settings: JwtSettings): Promise<JwtResult> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, key(settings.secret), {
      algorithms: ['HS256'],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      ...(settings.audience === undefined ? {} : { audience: settings.audience }),
      ...(settings.issuer === undefined ? {} : { issuer: settings.issuer }),
    });
    if (protectedHeader.typ !== undefined && protectedHeader.typ.toUpperCase() !== 'JWT') return { kind: 'invalid' };
    const role = ROLES.find((one) => one === payload['role']);
    if (role === undefined) return { kind: 'no-role' };
    return { kind: 'person', person: { role, name: payload.sub ?? role } };
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return { kind: 'invalid' };
    throw error;
  }
}

/**
 * Makes a token for `/admin`.
 * @param options.lifetimeSeconds default 8 hours
 */
export async function signJwt(
  options: { readonly role: Role; readonly name: string; readonly lifetimeSeconds?: number },
  settings: JwtSettings,
): Promise<string> {
  const jwt = new SignJWT({ role: options.role })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(options.name)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + (options.lifetimeSeconds ?? 8 * 3600));
  if (settings.audience !== undefined) jwt.setAudience(settings.audience);
  if (settings.issuer !== undefined) jwt.setIssuer(settings.issuer);
  return jwt.sign(key(settings.secret));
}

export function hasRole(person: Person, least: Role): boolean {
  return ROLES.indexOf(person.role) >= ROLES.indexOf(least);
}
