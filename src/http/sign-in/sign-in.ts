import { nullWhileAway } from '../../errors/while-away.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import { PasswordsBusyError, verifyPassword } from '../../util/passwords.ts';
import { hasRole, type JwtCheck, type Person } from '../auth/jwt.ts';

export type Proof =
  | { readonly kind: 'password'; readonly name: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string };

export type SignInResult =
  | {
      readonly kind: 'signed-in';
      /** `personId` null = by a token. */
      readonly person: Person & { readonly personId: string | null };
      /** How long the proof is good, ms; undefined = it does not say. */
      readonly lifetimeMs?: number;
    }
  /** One answer for an unknown name, a wrong password, a person who may not sign in and a token that is not good. */
  | { readonly kind: 'refused' }
  /** Too many tries: not looked at. */
  | { readonly kind: 'wait'; readonly waitMs: number };

export type SignIn = (proof: Proof, network: string) => Promise<SignInResult>;

/** Checks what a person types into the sign-in page. */
export function createSignIn(options: {
  readonly record: Pick<WaxwingRecord, 'people' | 'signInAttempts'>;
  readonly checkJwt: JwtCheck;
}): SignIn {
  const { record, checkJwt } = options;

  async function byToken(token: string): Promise<SignInResult> {
    const result = await checkJwt(token);
    if (result.kind !== 'person' || !hasRole(result.person, 'viewer')) return { kind: 'refused' };
    const { person, expiresAtMs } = result;
    const lifetime = expiresAtMs === null ? {} : { lifetimeMs: expiresAtMs - Date.now() };
    return { kind: 'signed-in', person: { ...person, personId: null }, ...lifetime };
  }

  async function byPassword(name: string, password: string): Promise<SignInResult> {
    const found = await record.people.find(name);
    const isRight = await verifyPassword(password, found?.passwordHash ?? null);
    if (found === null || !isRight || found.disabledAtMs !== null) return { kind: 'refused' };
    return { kind: 'signed-in', person: { personId: found.id, name: found.name, role: found.role } };
  }

  return async (proof, network) => {
    const account = proof.kind === 'password' ? proof.name : null;
    try {
      const waitMs = await beginUnlessAway(account, network);
      if (waitMs !== null) return { kind: 'wait', waitMs };
      const result = proof.kind === 'token' ? await byToken(proof.token) : await byPassword(proof.name, proof.password);
      if (result.kind === 'signed-in') await nullWhileAway(record.signInAttempts.succeeded(account, network));
      return result;
    } catch (error) {
      if (error instanceof PasswordsBusyError) return { kind: 'wait', waitMs: 1000 };
      throw error;
    }
  };

  /** Tokens cannot be guessed: with the record away they need no brake. A password needs the record anyway. */
  async function beginUnlessAway(account: string | null, network: string): Promise<number | null> {
    const begun = record.signInAttempts.begin(account, network);
    return account === null ? await nullWhileAway(begun) : await begun;
  }
}
