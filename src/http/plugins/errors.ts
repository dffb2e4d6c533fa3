import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import plugin from 'fastify-plugin';
import { AppError } from '../../errors/app-error.ts';
import type { ErrorCode } from '../../errors/catalogue.ts';
import { toProblem } from '../../errors/problem.ts';
import { newId } from '../../util/ids.ts';

const PROBLEM_TYPE = 'application/problem+json';

/** Fastify's own errors in our words. What is not here and says 4xx is an invalid request; anything else is ours. */
const FOREIGN: Readonly<Record<string, readonly [ErrorCode, string?]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['REQUEST_INVALID', 'The body is not as long as the header Content-Length says.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['REQUEST_NOT_JSON'],
  FST_ERR_CTP_EMPTY_TYPE: ['REQUEST_NOT_JSON'],
  FST_ERR_CTP_INVALID_JSON_BODY: [
    'REQUEST_NOT_JSON',
    'The body cannot be read as JSON, or has a name that is not allowed in it: __proto__, constructor.prototype.',
  ],
  FST_ERR_BAD_URL: ['REQUEST_INVALID', 'The path is not valid: check its percent-encoding.'],
  FST_ERR_MAX_PARAM_LENGTH: ['NOT_FOUND'],
};

/** Any error as one of the catalogue; what is unknown becomes `INTERNAL` and says nothing. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (!(error instanceof Error)) return new AppError('INTERNAL', { cause: error });
  const { code, statusCode } = error as FastifyError;
  const [known, detail] = FOREIGN[code] ?? [];
  if (known !== undefined) return new AppError(known, { cause: error, ...(detail === undefined ? {} : { detail }) });
  if (error instanceof SyntaxError && statusCode === 400) return new AppError('REQUEST_NOT_JSON', { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('REQUEST_INVALID', { cause: error });
  }
  return new AppError('INTERNAL', { cause: error });
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = asAppError(error);
  if (problem.status >= 500 && !problem.retryable) request.log.error({ err: error }, problem.code);
  else if (problem.code === 'INTERNAL') request.log.error({ err: error }, 'request failed');
  else if (problem.status >= 500) request.log.warn({ code: problem.code }, 'request refused');
  if (problem.retryAfterSeconds !== undefined) reply.header('retry-after', String(problem.retryAfterSeconds));
  void reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    // The hook that sets it does not run for a path that cannot be read.
    .header('x-request-id', request.id)
    .type(PROBLEM_TYPE)
    // As text: no response schema can cut anything from it, and no serializer can fail on it.
    .send(JSON.stringify(toProblem(problem, request.id)));
}

/** What Node's HTTP parser refuses before there is a request: answered on the bare socket, in the same shape. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, detail] = CLIENT_ERRORS[error.code ?? ''] ?? CLIENT_ERROR;
  const problem = toProblem(new AppError('REQUEST_INVALID', { detail }), newId());
  const body = JSON.stringify({ ...problem, status });
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${problem.requestId}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

const CLIENT_ERROR = [400, 'Bad Request', 'The request is not valid HTTP.'] as const;
const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'The headers are too large: send at most 16 KiB.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'The request did not arrive in time: send it faster.'],
};

/** One shape for every error, and for routes that do not exist. */
export const errors = plugin(
  (app: FastifyInstance) => {
    app.setErrorHandler((error, request, reply) => {
      sendProblem(error, request, reply);
    });
    app.setNotFoundHandler((request, reply) => {
      const detail = 'There is no such route; GET /openapi.json lists them.';
      sendProblem(new AppError('NOT_FOUND', { detail }), request, reply);
    });
    app.addHook('onRequest', (request, reply, done) => {
      reply.header('x-request-id', request.id);
      done();
    });
    return Promise.resolve();
  },
  { name: 'waxwing-errors', fastify: '5.x' },
);
