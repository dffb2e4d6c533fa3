import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { AppError } from '../../errors/app-error.ts';
import type { Principal } from '../../messages/index.ts';
import type { ApiKeyCheck } from '../auth/api-keys.ts';
import { bearerOf } from '../auth/bearer.ts';
import { hasRole, type JwtCheck, type Person, type Role } from '../auth/jwt.ts';
import { sessionCookieOf, setSessionCookie } from '../sign-in/cookie.ts';
import { onwardPage, SIGN_IN_POLICY } from '../sign-in/page.ts';
import { isSameOrigin, wantsPage, type PublicAddress } from '../sign-in/same-origin.ts';
import type { PageSessions } from '../sign-in/sessions.ts';

/**
 * Who may call a route:
 * - `open`: anybody
 * - `signed`: anybody whose body carries a valid signature; the route checks it
 * - `key`: a platform key or a tenant key
 * - `report`: a platform key, or a person with any role: figures of all tenants
 * - `viewer`, `operator`, `admin`: a person with at least this role, by a JWT or by the session cookie of the pages
 */
export type Access = 'open' | 'signed' | 'key' | 'report' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Set on routes with access `key`. */
    principal: Principal | null;
    /** Set on routes that need a person. */
    person: Person | null;
  }
}

export interface AuthOptions {
  readonly checkKey: ApiKeyCheck;
  readonly checkJwt: JwtCheck;
  /** Absent = nobody signs in with a cookie. */
  readonly pages?: { readonly sessions: PageSessions; readonly address: PublicAddress };
  /** Routes of foreign plugins below these paths are open without a policy of their own. */
  readonly openPrefixes: readonly string[];
  /** Says who may call the routes of foreign plugins that are not open; undefined = not one of them. */
  readonly foreignAccess?: ((method: string, url: string) => Access | undefined) | undefined;
}

const SECURITY: Readonly<Record<Access, readonly Record<string, string[]>[]>> = {
  open: [],
  signed: [],
  key: [{ apiKey: [] }],
  report: [{ apiKey: [] }, { adminToken: [] }, { session: [] }],
  viewer: [{ adminToken: [] }, { session: [] }],
  operator: [{ adminToken: [] }, { session: [] }],
  admin: [{ adminToken: [] }, { session: [] }],
};

/** Methods that change nothing, so that a request which another site made a browser send does no harm. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Deny by default: a route that does not say who may call it stops the boot. */
export const auth = plugin(
  (app: FastifyInstance, options: AuthOptions) => {
    app.decorateRequest('principal', null);
    app.decorateRequest('person', null);

    app.addHook('onRoute', (route) => {
      const isForeign = options.openPrefixes.some(
        (prefix) => route.url === prefix || route.url.startsWith(`${prefix}/`),
      );
      if (isForeign && route.config?.access === undefined) route.config = { ...route.config, access: 'open' };
      const method = String(Array.isArray(route.method) ? route.method[0] : route.method);
      const foreign = options.foreignAccess?.(method, route.url);
      if (foreign !== undefined && route.config?.access === undefined)
        route.config = { ...route.config, access: foreign };
      const access = route.config?.access;
      if (access === undefined) {
        throw new Error(`${String(route.method)} ${route.url} does not say who may call it: give it config.access.`);
      }
      route.schema = { ...route.schema, security: SECURITY[access] };
    });

    app.addHook('onRequest', async (request, reply) => {
      if (request.is404) return;
      // The hook above saw every route, so a missing policy here is a bug; it must not open anything.
      const access = request.routeOptions.config.access ?? 'admin';
      if (access === 'open' || access === 'signed') return;
      // What an authenticated caller reads stays out of shared caches.
      reply.header('cache-control', 'no-store');
      if (access === 'key') {
        const credential = bearerOf(request.headers.authorization);
        request.principal = credential === null ? null : await options.checkKey(credential);
        if (request.principal === null) throw unauthorized(reply);
        return;
      }
      const least = access === 'report' ? 'viewer' : access;
      const found = await callerOf(request, reply, access === 'report');
      if (found === 'platform') return;
      if (found === null) return await refuse(request, reply);
      if (!hasRole(found, least)) {
        throw new AppError('FORBIDDEN', { detail: `This needs the role ${least}; you have ${found.role}.` });
      }
      request.person = found;
    });

    /** The header counts when there is one; the cookie only without it. */
    async function callerOf(
      request: FastifyRequest,
      reply: FastifyReply,
      isKeyGood: boolean,
    ): Promise<Person | 'platform' | null> {
      if (request.headers.authorization === undefined) return await personOfCookie(request, reply);
      const credential = bearerOf(request.headers.authorization);
      if (credential === null) return null;
      // A JWT has two dots and no key has one, so neither is looked up as the other.
      if (isKeyGood && !credential.includes('.')) {
        return (await options.checkKey(credential))?.kind === 'platform' ? 'platform' : null;
      }
      const result = await options.checkJwt(credential);
      if (result.kind === 'invalid') return null;
      if (result.kind === 'person') return result.person;
      throw new AppError('FORBIDDEN', { detail: 'The JWT needs a claim role: admin, operator or viewer.' });
    }

    async function personOfCookie(request: FastifyRequest, reply: FastifyReply): Promise<Person | null> {
      if (options.pages === undefined) return null;
      const { sessions, address } = options.pages;
      const cookie = sessionCookieOf(request, address);
      const signedIn = cookie === null ? null : await sessions.read(cookie);
      if (signedIn === null) return null;
      if (!SAFE_METHODS.has(request.method) && !isSameOrigin(request, address)) {
        throw new AppError('FORBIDDEN', {
          detail:
            'With a session this must be sent by a page of this server: open it at the address where you signed in.',
        });
      }
      if (signedIn.renewed !== null) setSessionCookie(request, reply, address, signedIn.renewed);
      return signedIn.person;
    }

    /** Programs hear 401; a browser that goes to a page is led to the sign-in, and back after it. */
    async function refuse(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
      if (options.pages === undefined || !wantsPage(request)) throw unauthorized(reply);
      if (request.headers['sec-fetch-site'] === 'cross-site') {
        return await reply
          .header('content-security-policy', SIGN_IN_POLICY)
          .type('text/html; charset=utf-8')
          .send(onwardPage(request.url));
      }
      return await reply.redirect(`/login?next=${encodeURIComponent(request.url)}`, 302);
    }

    return Promise.resolve();
  },
  { name: 'waxwing-auth', fastify: '5.x' },
);

function unauthorized(reply: { header(name: string, value: string): unknown }): AppError {
  reply.header('www-authenticate', 'Bearer');
  return new AppError('UNAUTHORIZED');
}

/** The caller of a route with access `key`. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new Error(`${request.routeOptions.url ?? '?'} has no access policy for keys.`);
  return request.principal;
}

/** The caller of a route that needs a person. */
export function personOf(request: FastifyRequest): Person {
  if (request.person === null) throw new Error(`${request.routeOptions.url ?? '?'} has no access policy for people.`);
  return request.person;
}
