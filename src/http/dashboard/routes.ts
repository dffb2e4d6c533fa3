import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Bookings } from '../../bookings/index.ts';
import type { Messages } from '../../messages/index.ts';
import type { LiveView } from '../../observe/index.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import type { AdminOptions } from '../admin-options.ts';
import { personOf } from '../plugins/auth.ts';
import { sessionCookieOf } from '../sign-in/cookie.ts';
import type { PublicAddress } from '../sign-in/same-origin.ts';
import type { PageSessions } from '../sign-in/sessions.ts';
import { messageReads } from './messages.ts';
import { otherReads } from './others.ts';
import { dashboardPage } from './page.ts';
import { revealRoutes, seesAll } from './reveal.ts';
import { streamRoute } from './stream.ts';
import { tenantReads } from './tenants.ts';

/** What the dashboard needs beside the rest of the API. */
export interface DashboardOptions {
  readonly live: LiveView;
  readonly record: Pick<
    WaxwingRecord,
    'messages' | 'tenants' | 'totals' | 'chat' | 'conversations' | 'failures' | 'bookings'
  >;
  /** Signs the cookie of who sees numbers and texts. */
  readonly secret: string;
}

/** Of every part of the dashboard. */
export interface DashboardParts extends DashboardOptions {
  readonly messages: Messages;
  readonly bookings: Bookings;
  readonly admin: AdminOptions;
  readonly sessions: PageSessions;
  readonly address: PublicAddress;
}

/**
 * `/dashboard`: the page, its stream, and what it reads. Its API serves the page alone and changes with it; programs use
 * `/v1` and `/admin`. What it changes goes through `/admin`.
 */
export async function dashboardRoutes(app: FastifyInstance, parts: DashboardParts): Promise<void> {
  const { live, secret, sessions, address } = parts;
  await dashboardPage(app);
  streamRoute(app, { live, isSignedIn });
  revealRoutes(app, parts);
  messageReads(app, parts);
  tenantReads(app, parts);
  otherReads(app, parts);

  app.get('/dashboard/api/me', { config: { access: 'viewer' }, schema: { hide: true } }, (request) => {
    const { name, role } = personOf(request);
    // What other parts of this installation answer: the page shows only what is there.
    const has = (url: string) => app.hasRoute({ method: 'GET', url });
    return {
      name,
      role,
      revealed: seesAll(request, secret),
      parts: { explain: has('/v1/messages/:id/explain'), templates: has('/v1/templates'), stats: has('/v1/stats') },
    };
  });

  async function isSignedIn(request: FastifyRequest): Promise<boolean | null> {
    const cookie = sessionCookieOf(request, address);
    if (request.headers.authorization !== undefined || cookie === null) return null;
    return (await sessions.read(cookie)) !== null;
  }
}
