import { createHash } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { hasCode } from '../../errors/app-error.ts';
import { createMemory } from '../../messages/index.ts';
import type { SessionRecord, WaxwingRecord } from '../../record/index.ts';
import { isId, newId } from '../../util/ids.ts';
import { ROLES, type Person } from '../auth/jwt.ts';

/** A person with the session that proves it. */
export interface SignedIn {
  readonly person: Person;
  readonly sessionId: string;
  /** A new value for the cookie, when the old one runs out soon; null = it is good for longer. */
  readonly renewed: string | null;
}

/**
 * Sessions of the pages. The cookie holds a token that is good for a quarter of an hour and is renewed while the row
 * behind it is open; ending the row ends the session within five seconds in every process.
 */
export interface PageSessions {
  /**
   * Opens a session. While the record is away, a person with a token gets one without a row, which cannot be renewed.
   * @param options.lifetimeMs longest life of the session; it is cut to twelve hours
   * @returns the value of the cookie, and how long a browser keeps it, s
   * @throws AppError `RECORD_UNAVAILABLE` for a person of the record
   */
  open(
    person: Person & { readonly personId: string | null },
    options: { readonly network: string; readonly lifetimeMs?: number },
  ): Promise<{ readonly cookie: string; readonly maxAgeSeconds: number; readonly isBrief: boolean }>;
  /** Who the cookie stands for; null when it is no session of ours or has ended. */
  read(cookie: string): Promise<SignedIn | null>;
  /** Ends the session of the cookie and says whose it was; null when there was none. */
  end(cookie: string): Promise<SignedIn | null>;
}

const SESSION_MS = 12 * 3600_000;
const TOKEN_MS = 15 * 60_000;
/** A token with less than this left is renewed. */
const RENEW_BELOW_MS = 10 * 60_000;
/** A session that was ended elsewhere is over within this time. */
const FRESH_MS = 5000;
const TYPE = 'waxwing-session+jwt';

export function createPageSessions(options: {
  readonly store: WaxwingRecord['sessions'];
  /** JWT_SECRET. The tokens of sessions have a key made from it: neither kind passes for the other. */
  readonly secret: string;
  /** Epoch ms. */
  readonly now?: () => number;
}): PageSessions {
  const { store, now = Date.now } = options;
  const key = createHash('sha256').update(`waxwing session ${options.secret}`).digest();
  const memory = createMemory<SessionRecord>({ freshMs: FRESH_MS, usableMs: FRESH_MS });
  /** Ended here: not to be believed again although the record is away. Bounded by the life of a token. */
  const ended = new Map<string, number>();

  async function tokenOf(id: string, person: Person, isBrief: boolean, endsAtMs: number): Promise<string> {
    const expiresAtMs = Math.min(now() + TOKEN_MS, endsAtMs);
    return new SignJWT({ role: person.role, sid: id, end: endsAtMs, ...(isBrief ? { brief: true } : {}) })
      .setProtectedHeader({ alg: 'HS256', typ: TYPE })
      .setSubject(person.name)
      .setIssuedAt(Math.floor(now() / 1000))
      .setExpirationTime(Math.floor(expiresAtMs / 1000))
      .sign(key);
  }

  /** What the token says, also when it ran out: then only the row can make it good. */
  async function parse(cookie: string) {
    try {
      const { payload } = await jwtVerify(cookie, key, {
        algorithms: ['HS256'],
        typ: TYPE,
        currentDate: new Date(now()),
        clockTolerance: SESSION_MS / 1000,
      });
      const { sid, role: named, sub: name, end, brief, exp = 0 } = payload;
      const role = ROLES.find((one) => one === named);
      if (typeof sid !== 'string' || !isId(sid) || role === undefined || name === undefined) return null;
      if (typeof end !== 'number' || end <= now()) return null;
      return { id: sid, person: { role, name }, isBrief: brief === true, endsAtMs: end, expiresAtMs: exp * 1000 };
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return null;
      throw error;
    }
  }

  function isEnded(id: string): boolean {
    for (const [one, atMs] of ended) if (atMs + SESSION_MS < now()) ended.delete(one);
    return ended.has(id);
  }

  const read: PageSessions['read'] = async (cookie) => {
    const token = await parse(cookie);
    if (token === null || isEnded(token.id)) return null;
    const { id, endsAtMs } = token;
    const leftMs = token.expiresAtMs - now();
    const asItSays = leftMs > 0 ? { person: token.person, sessionId: id, renewed: null } : null;
    if (token.isBrief) return asItSays;
    try {
      const session = await memory.get(id, () => store.find(id));
      if (session === null) return null;
      const person = { role: session.role, name: session.name };
      const isDue = leftMs < RENEW_BELOW_MS && endsAtMs - token.expiresAtMs > 1000;
      return { person, sessionId: id, renewed: isDue ? await tokenOf(id, person, false, endsAtMs) : null };
    } catch (error) {
      // The pages tell why nothing flows, also when the reason is the record: a token is believed until it runs out.
      if (hasCode(error, 'RECORD_UNAVAILABLE')) return asItSays;
      throw error;
    }
  };

  return {
    read,

    async open({ personId, ...person }, { network, lifetimeMs = SESSION_MS }) {
      const endsAtMs = now() + Math.min(lifetimeMs, SESSION_MS);
      const opened = await store
        .open({ personId, name: person.name, role: person.role, network, expiresAtMs: endsAtMs })
        .catch((error: unknown) => {
          const isAway = hasCode(error, 'RECORD_UNAVAILABLE');
          if (!isAway || personId !== null) throw error;
          return null;
        });
      const isBrief = opened === null;
      const lastsUntilMs = isBrief ? Math.min(endsAtMs, now() + TOKEN_MS) : endsAtMs;
      const cookie = await tokenOf(opened?.id ?? newId(), person, isBrief, lastsUntilMs);
      return { cookie, maxAgeSeconds: Math.floor((lastsUntilMs - now()) / 1000), isBrief };
    },

    async end(cookie) {
      const token = await parse(cookie);
      if (token === null) return null;
      const signedIn = await read(cookie);
      ended.set(token.id, now());
      memory.forget(token.id);
      if (!token.isBrief) await store.end(token.id);
      return signedIn;
    },
  };
}
