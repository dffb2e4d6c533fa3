import type { FastifyInstance, FastifyRequest } from 'fastify';
import { audit, type AdminOptions } from '../admin-options.ts';
import { isUnmasked, UNMASK_SECONDS, unmaskValue } from '../board/unmask.ts';
import { personOf } from '../plugins/auth.ts';
import { isHttps, type PublicAddress } from '../sign-in/same-origin.ts';

const COOKIE = 'waxwing-reveal';
const PATH = '/dashboard/api';

/** Does this person see texts and numbers as they are: an admin who asked for it within ten minutes. */
export function seesAll(request: FastifyRequest, secret: string): boolean {
  const person = personOf(request);
  return person.role === 'admin' && isUnmasked(request.cookies[COOKIE], person.name, secret, Date.now());
}

/** `POST` shows texts and numbers to an admin for ten minutes, `DELETE` hides them again. Both are audited. */
export function revealRoutes(
  app: FastifyInstance,
  {
    admin,
    secret,
    address,
  }: { readonly admin: AdminOptions; readonly secret: string; readonly address: PublicAddress },
): void {
  const options = { config: { access: 'admin' }, schema: { hide: true } } as const;
  const cookie = (request: FastifyRequest) => ({
    path: PATH,
    httpOnly: true,
    sameSite: 'strict' as const,
    secure: isHttps(request, address),
  });
  app.post(`${PATH}/reveal`, options, async (request, reply) => {
    const { name } = personOf(request);
    const detail = { seconds: UNMASK_SECONDS };
    await audit(admin, request, { action: 'dashboard.reveal', target: 'messages', detail });
    reply.setCookie(COOKIE, unmaskValue(name, secret, Date.now()), { ...cookie(request), maxAge: UNMASK_SECONDS });
    return { revealed: true, seconds: UNMASK_SECONDS };
  });
  app.delete(`${PATH}/reveal`, options, async (request, reply) => {
    await audit(admin, request, { action: 'dashboard.hide', target: 'messages' });
    reply.clearCookie(COOKIE, cookie(request));
    return { revealed: false };
  });
}
