import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import type { Reception } from '../../inbound/index.ts';
import { senderIdSchema } from '../../messages/request.ts';
import { SENDER_PROVIDERS } from '../../model/provider.ts';
import { createTurns } from '../turns.ts';

/** Meta sends up to 3 MB in one POST; parsers of other limits lose the largest batches. */
const WEBHOOK_BYTES_MAX = 4 * 1024 * 1024;

/** Webhooks that are read or answered in one turn while connections wait: about a millisecond of work. */
const STEPS_PER_TURN = 6;

const params = z.object({ sender: senderIdSchema });
/** Loose, because Meta may add to it. */
const verification = z.looseObject({
  'hub.mode': z.string().max(100).optional(),
  'hub.verify_token': z.string().max(1000).optional(),
  'hub.challenge': z.string().max(1000).optional(),
});
const DESCRIPTIONS = {
  cloud:
    'Meta calls this. The signature covers the exact bytes, so nothing may change the body on its way. Without an app secret, on the sender or in WHATSAPP_APP_SECRET, every POST is refused.',
  evolution:
    'Evolution calls this, with its secret in the header X-Webhook-Token, as a JWT of its jwt_key, in the path behind the sender, or as ?token=. Its "webhook by events" addresses work too.',
  twilio:
    'Twilio calls this, for messages and for statuses. Its signature covers the address that it called (PUBLIC_URL) and every field.',
} as const;
const NAMES = { cloud: 'Meta', evolution: 'Evolution', twilio: 'Twilio' } as const;

/** `/webhooks/whatsapp/{cloud|evolution|twilio}`: one address for all senders, or one per sender with a secret of its own. */
export function webhookRoutes(app: FastifyInstance, { webhook }: { readonly webhook: Reception }): void {
  // In a scope of its own, where every body stays the bytes that came.
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => {
      parsed(null, body);
    });
    const routes = scope.withTypeProvider<ZodTypeProvider>();
    const tags = ['webhooks'];
    const turns = createTurns(STEPS_PER_TURN);
    scope.server.on('connection', () => turns.connected());

    const verify = async (query: z.infer<typeof verification>, sender: string | undefined): Promise<string> => {
      const token = query['hub.verify_token'];
      const isGood =
        query['hub.mode'] === 'subscribe' && token !== undefined && (await webhook.isVerifyToken(token, sender));
      if (isGood) return query['hub.challenge'] ?? '';
      throw new AppError('FORBIDDEN', { detail: 'hub.verify_token is not the word in WHATSAPP_VERIFY_TOKEN.' });
    };
    const receive = async (
      provider: keyof typeof NAMES,
      request: Pick<FastifyRequest, 'body' | 'headers' | 'url'>,
      sender: string | undefined,
    ): Promise<{ received: true }> => {
      const { body, headers, url } = request;
      await turns.next();
      await webhook.receive({
        provider,
        sender,
        body: Buffer.isBuffer(body) ? body : Buffer.alloc(0),
        headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, textOf(value)])),
        path: url,
      });
      await turns.next();
      return { received: true };
    };
    const received = z.object({ received: z.literal(true) });
    const open = { config: { access: 'open' } } as const;
    const signed = { config: { access: 'signed' }, bodyLimit: WEBHOOK_BYTES_MAX } as const;
    const asks = { tags, summary: "Meta's verification call", querystring: verification };

    routes.get('/webhooks/whatsapp/cloud', { ...open, schema: asks }, async (request, reply) =>
      reply.type('text/plain').send(await verify(request.query, undefined)),
    );
    routes.get('/webhooks/whatsapp/cloud/:sender', { ...open, schema: { ...asks, params } }, async (request, reply) =>
      reply.type('text/plain').send(await verify(request.query, request.params.sender)),
    );
    for (const provider of SENDER_PROVIDERS) {
      const tells = {
        tags,
        summary: `Messages, statuses and events from ${NAMES[provider]}`,
        description: DESCRIPTIONS[provider],
        response: { 200: received },
      };
      const address = `/webhooks/whatsapp/${provider}`;
      routes.post(address, { ...signed, schema: tells }, (request) => receive(provider, request, undefined));
      routes.post(`${address}/:sender`, { ...signed, schema: { ...tells, params } }, (request) =>
        receive(provider, request, request.params.sender),
      );
    }
    // Evolution appends the name of the event, and its secret may stand in the path.
    routes.post(
      '/webhooks/whatsapp/evolution/:sender/*',
      {
        ...signed,
        schema: {
          tags,
          summary: 'Messages, statuses and events from Evolution, with the secret or the event in the path',
          description: DESCRIPTIONS.evolution,
          params: z.object({ sender: senderIdSchema, '*': z.string() }),
          response: { 200: received },
        },
      },
      (request) => receive('evolution', request, request.params.sender),
    );
    done();
  });
}

function textOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}
