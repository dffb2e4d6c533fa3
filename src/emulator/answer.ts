import type { FastifyReply } from 'fastify';
import type { Answer, Decision } from './decide.ts';
import type { GraphError } from './graph-error.ts';

const RAW_BODIES: Readonly<Record<string, { readonly type: string; readonly body: string }>> = {
  empty: { type: 'text/plain', body: '' },
  text: { type: 'text/plain; charset=utf-8', body: 'upstream connect error or disconnect/reset before headers' },
  html: {
    type: 'text/html; charset=utf-8',
    body: '<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Sorry, something went wrong.</h1></body></html>',
  },
  json: { type: 'application/json', body: '{"message":"Internal server error"}' },
  'no-messages': { type: 'application/json', body: '{"messaging_product":"whatsapp"}' },
};

/** Gives the decided answer, or breaks the connection as decided. `ok` makes the body of a success. */
export function answer(reply: FastifyReply, decided: Answer, ok: () => unknown): unknown {
  const socket = reply.raw.socket;
  switch (decided.kind) {
    case 'ok':
      return reply.send(ok());
    case 'error':
      return refuse(reply, decided.error);
    case 'raw': {
      const raw = RAW_BODIES[decided.body];
      if (decided.retryAfterSeconds !== undefined) void reply.header('retry-after', decided.retryAfterSeconds);
      return reply
        .code(decided.status)
        .type(raw?.type ?? 'text/plain')
        .send(raw?.body ?? '');
    }
    case 'reset':
      void reply.hijack();
      socket?.resetAndDestroy();
      return reply;
    case 'cut':
      void reply.hijack();
      // Half an answer, then a reset: the client has a 200 and no complete body.
      reply.raw.writeHead(200, { 'content-type': 'application/json', 'content-length': '180' });
      reply.raw.write('{"messaging_product":"whatsapp","contacts":[{"inp', () => socket?.resetAndDestroy());
      return reply;
    case 'hang':
      return reply.hijack();
  }
}

export function refuse(reply: FastifyReply, error: GraphError): FastifyReply {
  return reply.code(error.status).send(error.envelope());
}

/** The answer as the ledger keeps it. */
export function ledgerAnswer(answered: Answer): { code: number | null; httpStatus: number } {
  switch (answered.kind) {
    case 'ok':
      return { code: null, httpStatus: 200 };
    case 'error':
      return { code: answered.error.code, httpStatus: answered.error.status };
    case 'raw':
      return { code: null, httpStatus: answered.status };
    default:
      return { code: null, httpStatus: 0 };
  }
}

/** A fault in words, for the message's bubble on the page. */
export function faultWords(decision: Decision): string {
  const { answer: answered } = decision;
  if (answered.kind === 'raw') return `client got HTTP ${answered.status} without an id`;
  if (answered.kind === 'hang') return 'client got no answer';
  return answered.kind === 'cut' ? 'client got half an answer' : 'client got a connection reset';
}
