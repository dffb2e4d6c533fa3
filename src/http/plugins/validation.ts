import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { parseRequest } from '../../messages/request.ts';

/** Checks body, query, path and headers with the zod schema of the route; the first fault becomes the answer. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  const wanted = httpPart === 'querystring' ? closed(schema) : schema;
  return (data: unknown) => {
    try {
      return { value: parseRequest(wanted, httpPart === 'body' ? (data ?? undefined) : data) };
    } catch (error) {
      if (error instanceof AppError) return { error };
      throw error;
    }
  };
};

/** A misspelt filter would find everything, those of other tenants too: names are refused unless the schema is loose. */
function closed(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodObject && schema.def.catchall === undefined ? schema.strict() : schema;
}

/**
 * Told before routes are added: one of the API that knows no name in its query refuses all. `?dryRun=true` beside a body
 * would be passed over, and the act done. Reports and what is open are asked by machines that add names of their own.
 */
export function closeQueries(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    const { config, schema } = route;
    const isOfMachines = config?.access === 'open' || config?.access === 'signed' || config?.access === 'report';
    if (isOfMachines || schema?.response === undefined || schema.querystring !== undefined) return;
    route.schema = { ...schema, querystring: z.strictObject({}) };
  });
}
