import fastifyStatic from '@fastify/static';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors/app-error.ts';
import type { LiveView } from '../../observe/index.ts';

/** Nothing from elsewhere and nothing inline: what a message contains cannot become code. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Of scripts, styles and pictures. */
export const DASHBOARD_FILES = '/dashboard/assets';

/** Made by `npm run build`, and by the first `npm start` of a checkout. */
const BUILT = new URL('../../../web/dashboard/dist/', import.meta.url);

/**
 * `/dashboard` and every path below it that the page makes up itself, so that reloading one works. Its files hold no
 * data and are open: a browser caches them for good, because their names hold their digest.
 */
export async function dashboardPage(app: FastifyInstance, live: Pick<LiveView, 'expect'>): Promise<void> {
  const hide = { schema: { hide: true } } as const;
  const index = new URL('index.html', BUILT);
  let page: string | undefined;
  const pageText = () => {
    if (page === undefined && existsSync(index)) page = readFileSync(index, 'utf8');
    return page;
  };
  for (const path of ['/dashboard', '/dashboard/*']) {
    app.get(path, { ...hide, config: { access: 'viewer' } }, (request, reply) => {
      if (request.url.startsWith('/dashboard/api/') || request.url.startsWith(DASHBOARD_FILES)) {
        throw new AppError('NOT_FOUND');
      }
      const text = pageText();
      if (text === undefined) {
        throw new AppError('NOT_FOUND', {
          detail: 'The dashboard was not built in this checkout: run `npm run build` and start again.',
        });
      }
      // Its figures are read while the browser reads the page.
      live.expect();
      return reply.header('content-security-policy', POLICY).type('text/html; charset=utf-8').send(text);
    });
  }
  await app.register(fastifyStatic, {
    root: fileURLToPath(new URL('assets/', BUILT)),
    prefix: `${DASHBOARD_FILES}/`,
    decorateReply: false,
    preCompressed: true,
    immutable: true,
    maxAge: '365d',
  });
}
