import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../../errors/app-error.ts';

/**
 * JSON is the only body. An empty one counts as none: many clients name a content type with every request, also where
 * nothing has to be said, such as a pause. Bytes that are not UTF-8 are refused, because Node would put U+FFFD in the
 * place of letters and a customer would read that.
 */
export function readJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  // A text that Fastify would hand on as it is would only fail later, with a worse sentence.
  app.removeContentTypeParser(['text/plain', 'application/json']);
  app.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else if (isUtf8(body)) void parse(request, body.toString(), done);
    else done(new AppError('REQUEST_NOT_JSON', { detail: 'The body is not UTF-8; encode the JSON as UTF-8.' }));
  });
  app.addHook('preValidation', (request, _reply, done) => {
    const schema = request.routeOptions.schema?.body as z.ZodType | undefined;
    // Fastify's validation sees null for both, a body that is missing and the JSON null.
    const isMissing = request.body === undefined && schema?.safeParse(undefined).success === false;
    done(
      isMissing ? new AppError('REQUEST_NOT_JSON', { detail: 'The body is empty; send a JSON object.' }) : undefined,
    );
  });
}
