import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { MAIL_LOCALES, MAIL_TEMPLATES, renderMail, sampleData } from '../../mail/index.ts';
import { previewPage } from './page.ts';

const locale = z.enum(MAIL_LOCALES).default('en');
const pageQuery = z.object({
  template: z.enum(MAIL_TEMPLATES).default('booking_confirmation'),
  locale,
  width: z.enum(['wide', 'phone']).default('wide'),
});

/** `/admin/mail/preview`: every e-mail in every language, with sample data. */
export function mailRoutes(app: FastifyInstance): void {
  const routes = app.withTypeProvider<ZodTypeProvider>();

  routes.get(
    '/admin/mail/preview',
    { config: { access: 'viewer' }, schema: { hide: true, querystring: pageQuery } },
    (request, reply) => {
      const choice = request.query;
      const mail = renderMail({ ...choice, data: sampleData(choice.template, choice.locale) });
      const page = previewPage(choice, mail);
      return reply.header('content-security-policy', pagePolicy(page)).type('text/html; charset=utf-8').send(page);
    },
  );

  routes.get(
    '/admin/mail/preview/:template/:format',
    {
      config: { access: 'viewer' },
      schema: {
        hide: true,
        params: z.object({ template: z.enum(MAIL_TEMPLATES), format: z.enum(['html', 'text']) }),
        querystring: z.object({ locale }),
      },
    },
    (request, reply) => {
      const { template, format } = request.params;
      const mail = renderMail({
        template,
        locale: request.query.locale,
        data: sampleData(template, request.query.locale),
      });
      // E-mails carry their styles inline; nothing else may be loaded or run, and only our own page may frame them.
      const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'";
      return reply
        .header('content-security-policy', policy)
        .type(format === 'html' ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8')
        .send(mail[format]);
    },
  );
}

/** The page's one style block by its hash, the frame from here, and nothing else. */
function pagePolicy(page: string): string {
  const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? '';
  const hash = createHash('sha256').update(style).digest('base64');
  return `default-src 'none'; style-src 'sha256-${hash}'; frame-src 'self'; frame-ancestors 'none'`;
}
