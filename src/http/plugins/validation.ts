import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';
import { parseRequest } from '../../messages/request.ts';

/** Checks body, query, path and headers with the zod schema of the route; the first fault becomes the answer. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (data: unknown) => {
    try {
      return { value: parseRequest(schema, httpPart === 'body' ? (data ?? undefined) : data) };
    } catch (error) {
      if (error instanceof AppError) return { error };
      throw error;
    }
  };
