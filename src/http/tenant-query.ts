import type { preValidationHookHandler } from 'fastify';
import { z } from 'zod';
import { invalid, tenantIdSchema } from '../messages/request.ts';

/** A platform key names the tenant in the body or here. */
export const tenantQuery = z.object({
  tenant: tenantIdSchema.optional().describe('The same as `tenant` in the body, for those who name it here.'),
});

/**
 * Takes `?tenant=` over into the body before that is checked. Were it ignored, a message for one tenant would go out
 * in the name of `default`.
 * @throws AppError `REQUEST_INVALID` when query and body name two
 */
export const tenantFromQuery: preValidationHookHandler = (request, _reply, done) => {
  const { tenant } = request.query as { tenant?: unknown };
  if (tenant !== undefined) for (const target of targetsOf(request.body)) name(target, tenant);
  done();
};

/** The body; of a batch its items. What is no object is left to the schema, which says so. */
function targetsOf(body: unknown): Record<string, unknown>[] {
  if (!isObject(body)) return [];
  const { messages } = body;
  return Array.isArray(messages) ? messages.filter(isObject) : [body];
}

function name(target: Record<string, unknown>, tenant: unknown): void {
  if (target['tenant'] === undefined) target['tenant'] = tenant;
  else if (target['tenant'] !== tenant) {
    throw invalid('tenant', 'The query and the body name two tenants: give one of them.');
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
