import rateLimit from '@fastify/rate-limit';
import { readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors/app-error.ts';
import type { WaxwingRecord } from '../../record/index.ts';
import type { JwtCheck } from '../auth/jwt.ts';
import { clearSessionCookie, sessionCookieOf, setSessionCookie } from './cookie.ts';
import { networkOf } from './network.ts';
import { SIGN_IN_POLICY, SIGN_IN_STYLE, signInPage, signOutPage, type SignInPage } from './page.ts';
import { isSameOrigin, ownPath, type PublicAddress } from './same-origin.ts';
import type { PageSessions } from './sessions.ts';
import { createSignIn, type Proof } from './sign-in.ts';

export interface SignInOptions {
  readonly record: Pick<WaxwingRecord, 'people' | 'signInAttempts' | 'audit'>;
  readonly sessions: PageSessions;
  readonly checkJwt: JwtCheck;
  readonly address: PublicAddress;
}

/** Where a person goes without a wish; the first that this process has. */
const HOMES = ['/dashboard', '/admin/queues', '/docs'];
const FORM_BYTES_MAX = 16 * 1024;
/**
 * Posts of one network per minute and process, before the record is asked: an outer wall in memory against floods.
 * The brakes that count failures stand in the record and hold over all processes.
 */
const POSTS_PER_MINUTE = 60;
/** The same words for whatever was wrong. */
const REFUSED = 'That is not right. Check the name and password, or the token.';

/** `/login` and `/logout`: plain pages and forms, without a script. */
export function signInRoutes(app: FastifyInstance, options: SignInOptions): void {
  const { record, sessions, address } = options;
  const signIn = createSignIn(options);
  const style = readFileSync(new URL('../../../web/sign-in/style.css', import.meta.url), 'utf8');
  const open = { config: { access: 'open' }, schema: { hide: true } } as const;

  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_BYTES_MAX },
      (_request, body, done) => done(null, new URLSearchParams(String(body))),
    );
    await scope.register(rateLimit, { global: false });

    scope.get(SIGN_IN_STYLE, open, (_request, reply) =>
      reply.type('text/css').header('cache-control', 'public, max-age=3600').send(style),
    );

    // Somebody who types the bare address wants a page; a program hears that there is nothing.
    scope.get('/', open, (request, reply) => {
      if (request.headers.accept?.includes('text/html') !== true) throw new AppError('NOT_FOUND');
      return reply.redirect(home(app), 302);
    });

    scope.get<{ Querystring: { next?: string } }>('/login', open, async (request, reply) => {
      const next = ownPath(request.query.next);
      const cookie = sessionCookieOf(request, address);
      if (cookie !== null && (await sessions.read(cookie)) !== null) return reply.redirect(next ?? home(app), 303);
      return await sendForm(reply, { next });
    });

    scope.post<{ Body: URLSearchParams | undefined }>(
      '/login',
      { ...open, config: { ...open.config, rateLimit: floodLimit } },
      async (request, reply) => {
        const form = request.body ?? new URLSearchParams();
        const next = ownPath(form.get('next') ?? undefined);
        // Without this a foreign page could sign its visitor in as somebody else.
        assertOwnForm(request, address);
        const proof = proofOf(form);
        if (proof === null) return await sendForm(reply.code(400), { next, error: REFUSED });
        const name = proof.kind === 'password' ? { name: proof.name } : {};
        const network = networkOf(request.ip);
        const result = await signIn(proof, network);
        if (result.kind === 'wait') {
          const seconds = Math.ceil(result.waitMs / 1000);
          const error = `Too many tries. Wait ${seconds === 1 ? 'a second' : `${seconds} seconds`} and try again.`;
          return await sendForm(reply.code(429).header('retry-after', String(seconds)), { next, error, ...name });
        }
        if (result.kind === 'refused') {
          request.log.warn({ network, by: proof.kind }, 'sign-in refused');
          return await sendForm(reply.code(401), { next, error: REFUSED, ...name });
        }
        const { person, lifetimeMs } = result;
        const opened = await sessions.open(person, { network, ...(lifetimeMs === undefined ? {} : { lifetimeMs }) });
        if (!opened.isBrief) {
          const detail = { by: proof.kind, network };
          await record.audit.add({ actor: person.name, action: 'session.open', target: person.name, detail });
        }
        setSessionCookie(request, reply, address, opened.cookie, opened.maxAgeSeconds);
        return reply.redirect(next ?? home(app), 303);
      },
    );

    scope.get('/logout', open, async (request, reply) => {
      const cookie = sessionCookieOf(request, address);
      const signedIn = cookie === null ? null : await sessions.read(cookie);
      if (signedIn === null) return reply.redirect('/login', 303);
      return sendPage(reply, signOutPage(signedIn.person.name));
    });

    scope.post('/logout', open, async (request, reply) => {
      assertOwnForm(request, address);
      const cookie = sessionCookieOf(request, address);
      const signedIn = cookie === null ? null : await sessions.end(cookie);
      if (signedIn !== null) {
        const { name } = signedIn.person;
        await record.audit.add({ actor: name, action: 'session.end', target: name });
      }
      clearSessionCookie(request, reply, address);
      // Back and forward must not show what was seen before.
      return reply.header('clear-site-data', '"cache"').redirect('/login', 303);
    });
  });

  async function sendForm(reply: FastifyReply, page: SignInPage): Promise<FastifyReply> {
    const isTokenFirst = await record.people.list().then(
      (people) => people.length === 0,
      () => true,
    );
    return sendPage(reply, signInPage({ ...page, isTokenFirst }));
  }
}

const floodLimit = {
  max: POSTS_PER_MINUTE,
  timeWindow: '1 minute',
  keyGenerator: (request: FastifyRequest) => networkOf(request.ip),
  errorResponseBuilder: (_request: FastifyRequest, { ttl }: { ttl: number }) =>
    new AppError('TOO_MANY_ATTEMPTS', { retryAfterSeconds: Math.max(1, Math.ceil(ttl / 1000)) }),
};

function sendPage(reply: FastifyReply, html: string): FastifyReply {
  reply
    .header('content-security-policy', SIGN_IN_POLICY)
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8');
  return reply.send(html);
}

/** Programs that send no mark of a browser may post here: they carry no cookie that could be misused. */
function assertOwnForm(request: FastifyRequest, address: PublicAddress): void {
  const isBrowser = request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined;
  const hasCookie = sessionCookieOf(request, address) !== null;
  if ((isBrowser || hasCookie) && !isSameOrigin(request, address)) {
    throw new AppError('FORBIDDEN', {
      detail:
        'The form was not sent by this page. Open the sign-in page at its own address; behind a proxy set PUBLIC_URL.',
    });
  }
}

function proofOf(form: URLSearchParams): Proof | null {
  const token = form.get('token')?.trim();
  if (token !== undefined && token !== '') return token.length > 8192 ? null : { kind: 'token', token };
  const name = form.get('name')?.trim() ?? '';
  const password = form.get('password') ?? '';
  // NUL cannot be stored or looked for in PostgreSQL.
  const isUsable = name !== '' && name.length <= 100 && !name.includes('\0');
  return isUsable && password !== '' && password.length <= 200 ? { kind: 'password', name, password } : null;
}

function home(app: FastifyInstance): string {
  return HOMES.find((url) => app.hasRoute({ method: 'GET', url })) ?? '/docs';
}
