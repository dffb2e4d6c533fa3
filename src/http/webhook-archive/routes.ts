import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import type { WebhookKeeper } from '../../inbound/index.ts';
import { SENDER_PROVIDERS } from '../../model/provider.ts';
import { audit, type AdminOptions } from '../admin-options.ts';

const body = z.strictObject({
  from: z.iso.datetime({ offset: true }).describe('Received at or after.'),
  to: z.iso.datetime({ offset: true }).describe('Received before.'),
  provider: z.enum(SENDER_PROVIDERS).optional(),
  dryRun: z.boolean().default(false).describe('Only count.'),
});
const answer = z.object({ found: z.int(), queued: z.int(), dryRun: z.boolean() });

/** `/admin/webhooks/replay`. */
export function webhookArchiveRoutes(
  app: FastifyInstance,
  options: { readonly admin: AdminOptions; readonly webhookKeeper: WebhookKeeper },
): void {
  app.withTypeProvider<ZodTypeProvider>().post(
    '/admin/webhooks/replay',
    {
      config: { access: 'operator' },
      schema: {
        tags: ['administration'],
        summary: 'Process webhooks of a time range again',
        description:
          'What is in the record already stays as it is and is not answered again. RAW_WEBHOOK_DAYS is how far back it goes. Webhooks that told nothing but statuses are not kept; their statuses are in the record.',
        body,
        response: { 200: answer },
      },
    },
    async (request) => {
      const { from, to, provider, dryRun } = request.body;
      const range = { fromMs: Date.parse(from), toMs: Date.parse(to), provider };
      if (range.fromMs >= range.toMs) {
        throw new AppError('REQUEST_INVALID', { field: 'to', detail: 'It must be later than from.' });
      }
      const result = await options.webhookKeeper.replay(range, dryRun);
      await audit(options.admin, request, {
        action: 'webhooks.replay',
        target: `${from}/${to}`,
        detail: { provider: provider ?? null, dryRun, ...result },
      });
      return { ...result, dryRun };
    },
  );
}
