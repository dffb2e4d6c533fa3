import { z } from 'zod';
import type { QueueSwitch } from '../../messages/index.ts';
import { tenantIdSchema } from '../../messages/request.ts';
import type { TenantRecord } from '../../record/types.ts';

const limit = (max: number) => z.int().min(1).max(max);

const fields = {
  name: z.string().min(1).max(200).optional(),
  concurrency: limit(10_000)
    .nullable()
    .optional()
    .describe('Attempts in flight at once, per sender; null = TENANT_CONCURRENCY.'),
  weight: limit(100).nullable().optional().describe('Turns in a row on a shared sender; null = 1.'),
  backlogMax: limit(100_000_000)
    .nullable()
    .optional()
    .describe('Messages that may wait on one sender; null = TENANT_BACKLOG_MAX.'),
  queueEnabled: z
    .boolean()
    .nullable()
    .optional()
    .describe('Send through the queue (true) or directly (false); null = as WHATSAPP_SEND_QUEUE_PERCENT says.'),
  eventsUrl: z
    .url({ protocol: /^https?$/ })
    .max(2000)
    .nullable()
    .optional()
    .describe(
      'Where events of this tenant go; null = EVENTS_URL. It must begin with https://, have port 443 or 8443, and be outside of this network, unless DANGEROUSLY_ALLOW_PRIVATE_EVENTS_URL is set.',
    ),
};

export const tenantBody = z.strictObject({ id: tenantIdSchema, ...fields });
export const tenantPatch = z.strictObject(fields);
export const pauseBody = z
  .strictObject({ reason: z.string().min(1).max(200).optional().describe('Shown beside what waits.') })
  .nullish();

export const tenantSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    concurrency: z.int(),
    weight: z.int(),
    backlogMax: z.int(),
    queueEnabled: z
      .boolean()
      .describe('What was said for this tenant; where nothing was, what its short form does now.'),
    queueFollowsPercent: z.boolean().describe('Nothing was said for this tenant: WHATSAPP_SEND_QUEUE_PERCENT decides.'),
    eventsUrl: z.string().nullable(),
    paused: z.boolean(),
    pausedReason: z.string().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: 'Tenant' });

export const createdTenantSchema = tenantSchema.extend({
  key: z.string().describe("The tenant's key: shown only here."),
});

export function tenantView(record: TenantRecord, isOnQueue: QueueSwitch): z.infer<typeof tenantSchema> {
  const { createdAtMs, updatedAtMs, ...tenant } = record;
  return {
    ...tenant,
    queueEnabled: tenant.queueEnabled ?? isOnQueue(tenant),
    queueFollowsPercent: tenant.queueEnabled === null,
    paused: tenant.pausedReason !== null,
    createdAt: new Date(createdAtMs).toISOString(),
    updatedAt: new Date(updatedAtMs).toISOString(),
  };
}
