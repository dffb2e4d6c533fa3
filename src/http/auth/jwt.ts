import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import { AppError } from '../../errors/app-error.ts';
import { createKeySet, KeysAwayError } from './jwks.ts';

/** What a person may do: viewers read, operators also pause, resume and redrive, admins do everything. */
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
  /** JWT_JWKS_URL: public keys of an identity provider; absent = only our own tokens. */
  readonly jwksUrl?: string | undefined;
}

export type JwtResult =
  | {
      readonly kind: 'person';
      readonly person: Person;
      /** Claim `exp`, epoch ms; null = the token does not run out. */
      readonly expiresAtMs: number | null;
    }
  /** Not a token of ours, or not valid now. */
  | { readonly kind: 'invalid' }
  /** Ours and valid, but with no role that we know. */
  | { readonly kind: 'no-role' };

/** @throws AppError `SIGN_IN_UNAVAILABLE` while the identity provider's keys cannot be had */
export type JwtCheck = (token: string) => Promise<JwtResult>;

/** Clocks of two machines differ a little. */
const CLOCK_TOLERANCE_SECONDS = 5;
/** What an identity provider signs with. Never a secret shared with it: nobody could tell whose token it is. */
const PUBLIC_KEY_ALGORITHMS = ['RS256', 'ES256'];
const OWN_TYPES = ['JWT'];
/** RFC 9068 names the access tokens of identity providers so. */
const PROVIDER_TYPES = ['JWT', 'AT+JWT', 'APPLICATION/AT+JWT'];
const key = (secret: string) => new TextEncoder().encode(secret);

interface Source {
  readonly algorithms: string[];
  readonly types: readonly string[];
  verify(token: string, options: JWTVerifyOptions): ReturnType<typeof jwtVerify>;
}

/**
 * Makes the check of tokens. A token's algorithm only chooses the source that judges it, HS256 with our secret or
 * RS256 and ES256 with the provider's public keys, and each source takes its own algorithms and nothing else: a public
 * key can never serve as a secret. `exp` and `nbf` are checked, and `aud` and `iss` when the settings name them. What
 * a header says about keys (`jwk`, `jku`, `x5u`) is not looked at; `kid` only chooses among the provider's keys.
 */
export function createJwtCheck(settings: JwtSettings): JwtCheck {
  const secret = key(settings.secret);
  const own: Source = {
    algorithms: ['HS256'],
    types: OWN_TYPES,
    verify: (token, options) => jwtVerify(token, secret, options),
  };
  const keySet: JWTVerifyGetKey | null = settings.jwksUrl === undefined ? null : createKeySet(settings.jwksUrl);
  const provider: Source | null = keySet && {
    algorithms: PUBLIC_KEY_ALGORITHMS,
    types: PROVIDER_TYPES,
    verify: (token, options) => jwtVerify(token, keySet, options),
  };

  return async (token) => {
    try {
      const { alg = '' } = decodeProtectedHeader(token);
      const source = provider?.algorithms.includes(alg) === true ? provider : own;
      const { payload, protectedHeader } = await source.verify(token, {
        algorithms: source.algorithms,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        ...(settings.audience === undefined ? {} : { audience: settings.audience }),
        ...(settings.issuer === undefined ? {} : { issuer: settings.issuer }),
      });
      const { typ } = protectedHeader;
      if (typ !== undefined && !source.types.includes(typ.toUpperCase())) return { kind: 'invalid' };
      const role = ROLES.find((one) => one === payload['role']);
      if (role === undefined) return { kind: 'no-role' };
      const expiresAtMs = payload.exp === undefined ? null : payload.exp * 1000;
      return { kind: 'person', person: { role, name: payload.sub ?? role }, expiresAtMs };
    } catch (error) {
      if (error instanceof KeysAwayError || error instanceof errors.JWKSTimeout)
        throw new AppError('SIGN_IN_UNAVAILABLE', { cause: error });
      if (error instanceof errors.JOSEError || error instanceof TypeError) return { kind: 'invalid' };
      throw error;
    }
  };
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
