import type { FastifyInstance, FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { AppError } from '../../errors/app-error.ts';
import type { Principal } from '../../messages/index.ts';
import type { ApiKeyCheck } from '../auth/api-keys.ts';
import { bearerOf } from '../auth/bearer.ts';
import { hasRole, verifyJwt, type JwtSettings, type Person, type Role } from '../auth/jwt.ts';

/**
 * Who may call a route:
 * - `open`: anybody
 * - `signed`: anybody whose body carries a valid signature; the route checks it
 * - `key`: a platform key or a tenant key
 * - `report`: a platform key, or a JWT with any role: figures of all tenants
 * - `viewer`, `operator`, `admin`: a JWT with at least this role
 */
export type Access = 'open' | 'signed' | 'key' | 'report' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    /** Set on routes with access `key`. */
    principal: Principal | null;
    /** Set on routes that need a JWT. */
    person: Person | null;
  }
}

export interface AuthOptions {
  readonly checkKey: ApiKeyCheck;
  readonly jwt: JwtSettings;
  /** Routes of foreign plugins below these paths are open without a policy of their own. */
  readonly openPrefixes: readonly string[];
}

const SECURITY: Readonly<Record<Access, readonly Record<string, string[]>[]>> = {
  open: [],
  signed: [],
  key: [{ apiKey: [] }],
  report: [{ apiKey: [] }, { adminToken: [] }],
  viewer: [{ adminToken: [] }],
  operator: [{ adminToken: [] }],
  admin: [{ adminToken: [] }],
};

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
      const credential = bearerOf(request.headers.authorization);
      if (credential === null) throw unauthorized(reply);
      if (access === 'key') {
        request.principal = await options.checkKey(credential);
        if (request.principal === null) throw unauthorized(reply);
      } else if (access === 'report') {
        if (!(await mayReadReports(credential))) throw unauthorized(reply);
      } else {
        request.person = await personOf(credential, access);
        if (request.person === null) throw unauthorized(reply);
      }
    });

    async function mayReadReports(credential: string): Promise<boolean> {
      // A JWT has two dots and no key has one, so neither is looked up as the other.
      if (credential.includes('.')) return (await personOf(credential, 'viewer')) !== null;
      return (await options.checkKey(credential))?.kind === 'platform';
    }

    async function personOf(credential: string, least: Role): Promise<Person | null> {
      const result = await verifyJwt(credential, options.jwt);
      if (result.kind === 'invalid') return null;
      if (result.kind === 'no-role') {
        throw new AppError('FORBIDDEN', { detail: 'The JWT needs a claim role: admin, operator or viewer.' });
      }
      if (hasRole(result.person, least)) return result.person;
      throw new AppError('FORBIDDEN', { detail: `This needs the role ${least}; the JWT has ${result.person.role}.` });
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

/** The caller of a route that needs a JWT. */
export function personOf(request: FastifyRequest): Person {
  if (request.person === null) throw new Error(`${request.routeOptions.url ?? '?'} has no access policy for people.`);
  return request.person;
}
