import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import plugin from 'fastify-plugin';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { LOGO_SVG } from '../logo.ts';
import { problemSchema } from '../problem-schema.ts';
import { tidyComponents } from './openapi-components.ts';

export const DOCS_PREFIX = '/docs';

/** Swagger's page does not say that it fits a phone, and one would lay it out as wide as a desk. */
const VIEWPORT_SCRIPT = `
  const viewport = document.createElement('meta');
  viewport.name = 'viewport';
  viewport.content = 'width=device-width, initial-scale=1';
  document.head.append(viewport);
`;

const PROBLEM = {
  description: 'What went wrong, and what to do.',
  content: { 'application/problem+json': { schema: problemSchema } },
};

/** `/openapi.json` and a readable page at `/docs`; the page loads nothing from other hosts. */
export const openapi = plugin(
  async (app: FastifyInstance, options: { readonly version: string }) => {
    // Every documented route can fail in the one shape.
    app.addHook('onRoute', (route) => {
      const response = route.schema?.response as Record<string, unknown> | undefined;
      if (response === undefined || route.schema?.hide === true) return;
      route.schema = { ...route.schema, response: { '4xx': PROBLEM, '5xx': PROBLEM, ...response } };
    });

    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Waxwing',
          version: options.version,
          description:
            'Self-hosted WhatsApp messaging: every message once, in order, at the pace WhatsApp allows. Errors are RFC 9457 problem details with a stable `code`; docs/errors.md lists all of them.',
        },
        tags: [
          { name: 'messages', description: 'Send messages, follow them, cancel them.' },
          { name: 'bookings', description: 'Bookings and the reminders of their customers.' },
          { name: 'failures', description: 'What failed, what waits for a slow retry, and dead letters.' },
          { name: 'webhooks', description: 'Where WhatsApp reports statuses.' },
          { name: 'administration', description: 'Tenants, senders and keys; needs a JWT.' },
          { name: 'queues', description: 'Job queues and the send queue: figures, pause, clean; needs a JWT.' },
          { name: 'health', description: 'Is the process alive, can it work.' },
        ],
        components: {
          securitySchemes: {
            apiKey: { type: 'http', scheme: 'bearer', description: 'The platform key, or the key of one tenant.' },
            adminToken: {
              type: 'http',
              scheme: 'bearer',
              bearerFormat: 'JWT',
              description: '`waxwing token` makes one.',
            },
            session: {
              type: 'apiKey',
              in: 'cookie',
              name: 'waxwing',
              description: 'What the page /login sets; `__Host-waxwing` over https.',
            },
          },
        },
      },
      transform: jsonSchemaTransform,
      transformObject: (document) => tidyComponents(jsonSchemaTransformObject(document)),
    });
    await app.register(swaggerUi, {
      routePrefix: DOCS_PREFIX,
      staticCSP: true,
      // It would ask for its own files by https also where there is only http, and show nothing.
      transformStaticCSP: (header) => header.replace(/;?\s*upgrade-insecure-requests/, ''),
      logo: { type: 'image/svg+xml', content: LOGO_SVG, href: DOCS_PREFIX, target: '_self' },
      theme: { title: 'Waxwing API', js: [{ filename: 'viewport.js', content: VIEWPORT_SCRIPT }] },
      // Without this, Swagger's page asks a validator on the internet about the document.
      uiConfig: { validatorUrl: null, docExpansion: 'list', deepLinking: true },
    });
    app.get('/openapi.json', { config: { access: 'open' }, schema: { hide: true } }, () => app.swagger());
  },
  { name: 'waxwing-openapi', fastify: '5.x', dependencies: ['waxwing-auth'] },
);
