import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import type { CloudWebhook } from '../../inbound/cloud-webhook.ts';
import { senderIdSchema } from '../../messages/request.ts';

/** Meta sends up to 3 MB in one POST; parsers of other limits lose the largest batches. */
const WEBHOOK_BYTES_MAX = 4 * 1024 * 1024;

const params = z.object({ sender: senderIdSchema });
const verification = z.object({
  'hub.mode': z.string().max(100).optional(),
  'hub.verify_token': z.string().max(1000).optional(),
  'hub.challenge': z.string().max(1000).optional(),
});
const description =
  'Meta calls this. The signature covers the exact bytes, so nothing may change the body on its way. Without an app secret, on the sender or in WHATSAPP_APP_SECRET, every POST is refused.';

/** `/webhooks/whatsapp/cloud`: one address for all senders, or one per sender with an app of its own. */
export function webhookRoutes(app: FastifyInstance, { webhook }: { readonly webhook: CloudWebhook }): void {
  // In a scope of its own, where every body stays the bytes that came.
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => {
      parsed(null, body);
    });
    const routes = scope.withTypeProvider<ZodTypeProvider>();
    const tags = ['webhooks'];

    const verify = async (query: z.infer<typeof verification>, sender: string | undefined): Promise<string> => {
      const token = query['hub.verify_token'];
      const isGood =
        query['hub.mode'] === 'subscribe' && token !== undefined && (await webhook.isVerifyToken(token, sender));
      if (isGood) return query['hub.challenge'] ?? '';
      throw new AppError('FORBIDDEN', { detail: 'hub.verify_token is not the word in WHATSAPP_VERIFY_TOKEN.' });
    };
    const receive = async (
      request: { readonly body: unknown; readonly headers: Readonly<Record<string, string | string[] | undefined>> },
      sender: string | undefined,
    ): Promise<{ received: true }> => {
      await webhook.receive({
        sender,
        body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        signature: textOf(request.headers['x-hub-signature-256']),
        userAgent: textOf(request.headers['user-agent']),
      });
      return { received: true };
    };
    const received = z.object({ received: z.literal(true) });
    const open = { config: { access: 'open' } } as const;
    const signed = { config: { access: 'signed' }, bodyLimit: WEBHOOK_BYTES_MAX } as const;
    const asks = { tags, summary: "Meta's verification call", querystring: verification };
    const tells = { tags, summary: 'Statuses and events from Meta', description, response: { 200: received } };

    routes.get('/webhooks/whatsapp/cloud', { ...open, schema: asks }, async (request, reply) =>
      reply.type('text/plain').send(await verify(request.query, undefined)),
    );
    routes.get('/webhooks/whatsapp/cloud/:sender', { ...open, schema: { ...asks, params } }, async (request, reply) =>
      reply.type('text/plain').send(await verify(request.query, request.params.sender)),
    );
    routes.post('/webhooks/whatsapp/cloud', { ...signed, schema: tells }, (request) => receive(request, undefined));
    routes.post('/webhooks/whatsapp/cloud/:sender', { ...signed, schema: { ...tells, params } }, (request) =>
      receive(request, request.params.sender),
    );
    done();
  });
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
