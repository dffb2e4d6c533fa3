import type { FastifyInstance, FastifyRequest } from 'fastify';
import { personOf } from '../plugins/auth.ts';
import { sessionCookieOf } from '../sign-in/cookie.ts';
import { messageReads } from './messages.ts';
import { otherReads } from './others.ts';
import { dashboardPage } from './page.ts';
import type { DashboardParts } from './parts.ts';
import { revealRoutes, seesAll } from './reveal.ts';
import { senderReads } from './senders.ts';
import { statsPage } from './stats.ts';
import { streamRoute } from './stream.ts';
import { templatePages } from './templates.ts';
import { tenantReads } from './tenants.ts';

/**
 * `/dashboard`: the page, its stream, and what it reads. Its API serves the page alone and changes with it; programs use
 * `/v1` and `/admin`. What it changes goes through `/admin`.
 */
export async function dashboardRoutes(app: FastifyInstance, parts: DashboardParts): Promise<void> {
  const { live, secret, sessions, address } = parts;
  await dashboardPage(app, live);
  streamRoute(app, { live, isSignedIn });
  revealRoutes(app, parts);
  messageReads(app, parts);
  tenantReads(app, parts);
  senderReads(app, parts);
  otherReads(app, parts);
  templatePages(app, parts);
  statsPage(app, parts);

  app.get('/dashboard/api/me', { config: { access: 'viewer' }, schema: { hide: true } }, (request) => {
    const { name, role } = personOf(request);
    return { name, role, revealed: seesAll(request, secret) };
  });

  async function isSignedIn(request: FastifyRequest): Promise<boolean | null> {
    const cookie = sessionCookieOf(request, address);
    if (request.headers.authorization !== undefined || cookie === null) return null;
    return (await sessions.read(cookie)) !== null;
  }
}
