import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { answer, ledgerAnswer } from './answer.ts';
import { countInFlight, countOutcome } from './counting.ts';
import { decide } from './decide.ts';
import { newMessageId } from './foreign-ids.ts';
import { evolutionError, evolutionSend, twilioError, twilioSend, type ForeignRefusal } from './foreign-requests.ts';
import { messageDigest } from './ledger.ts';
import { holdAnswer, take } from './outgoing.ts';
import { ControlError, isPlainObject } from './settings.ts';
import type { ParsedMessage } from './request.ts';
import type { World } from './world.ts';

/** Evolution API v2 and Twilio's Messages, over the same rules, limits, chats and ledger as the Cloud API. */
export function registerForeign(app: FastifyInstance, world: World): void {
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  app.post<{ Params: { route: string; instance: string } }>('/message/:route/:instance', (request, reply) => {
    const { route, instance } = request.params;
    const refused = evolutionAccess(world, request, instance);
    const read = refused ?? evolutionSend(route, request.body);
    return receive(world, request, reply, read, {
      senderId: `evolution.${instance}`,
      envelope: evolutionError,
      ok: (message, id) => ({
        code: 201,
        body: {
          key: { remoteJid: `${message.party}@s.whatsapp.net`, fromMe: true, id },
          status: 'PENDING',
          messageType: message.type,
          messageTimestamp: Math.floor(Date.now() / 1000),
        },
      }),
    });
  });
  app.get<{ Params: { instance: string } }>('/instance/connectionState/:instance', (request, reply) => {
    const { instance } = request.params;
    const refused = evolutionAccess(world, request, instance);
    // A closed connection is the one refusal that this question is there to answer.
    if (refused !== null && refused.status !== 400) return reply.code(refused.status).send(evolutionError(refused));
    const state = world.settings().evolution.instances[instance] ?? 'open';
    return { instance: { instanceName: instance, state } };
  });
  app.post<{ Params: { sid: string } }>('/2010-04-01/Accounts/:sid/Messages.json', (request, reply) => {
    const refused = twilioAccess(world, request);
    const read = refused ?? twilioSend(request.body);
    const body = isPlainObject(request.body) ? request.body : {};
    const sender = body['From'] ?? body['MessagingServiceSid'];
    const from = typeof sender === 'string' ? sender.replace(/^whatsapp:/, '') : '';
    return receive(world, request, reply, read, {
      senderId: `twilio.${from}`,
      envelope: twilioError,
      ok: (message, id) => ({
        code: 201,
        body: {
          sid: id,
          status: 'queued',
          to: `whatsapp:+${message.party}`,
          from: `whatsapp:${from}`,
          error_code: null,
          error_message: null,
          account_sid: request.params.sid,
        },
      }),
    });
  });
}

/** Where one provider's way of speaking differs from the other's. */
interface Dialect {
  readonly senderId: string;
  readonly envelope: (refusal: ForeignRefusal) => unknown;
  readonly ok: (message: ParsedMessage, id: string) => { code: number; body: unknown };
}

async function receive(
  world: World,
  request: FastifyRequest,
  reply: FastifyReply,
  read: ParsedMessage | ForeignRefusal,
  { senderId, envelope, ok }: Dialect,
): Promise<unknown> {
  world.totals.requests += 1;
  if ('refused' in read) {
    world.totals.rejected += 1;
    await world.ledger.record({ ...entryOf(request, senderId, null), code: read.code, httpStatus: read.status });
    return reply.code(read.status).send(envelope(read));
  }
  const number = world.numbers.get(senderId);
  countInFlight(world, number, reply);
  number.used = true;
  number.requests += 1;
  world.totals.messages += 1;
  number.arrivals.add(request.arrivedAtMs);
  world.pairs.arrived(senderId, read.party, request.arrivedAtMs);
  const decision = decide(world, number, read, request.arrivedAtMs);
  const id = decision.taken ? newMessageId(senderId, read.party, 'out') : null;
  countOutcome(world, number, decision);
  const begin = id === null ? null : take(world, senderId, read, decision, id, '');
  const shown = ledgerAnswer(decision.answer);
  await world.ledger.record({
    ...entryOf(request, senderId, read),
    taken: decision.taken,
    outcome: decision.outcome,
    code: shown.code ?? decision.failure?.code ?? null,
    httpStatus: decision.answer.kind === 'ok' ? 201 : shown.httpStatus,
    wamid: id,
    rule: decision.rule?.id ?? null,
    inFlight: number.inFlight,
  });
  world.live.statsChanged();
  if (!(await holdAnswer(world, decision, begin))) return reply.hijack();
  if (decision.answer.kind === 'error') {
    const { code, status, details, message } = decision.answer.error;
    const refusal: ForeignRefusal = { refused: true, code, status, text: details || message, party: read.party };
    const limited = decision.outcome === 'limited' ? { ...refusal, status: 429 } : refusal;
    return reply.code(limited.status).send(envelope(limited));
  }
  if (decision.answer.kind !== 'ok' || id === null) return answer(reply, decision.answer, () => ({}));
  const success = ok(read, id);
  return reply.code(success.code).send(success.body);
}

function evolutionAccess(world: World, request: FastifyRequest, instance: string): ForeignRefusal | null {
  const { apiKeys, instances } = world.settings().evolution;
  const key = request.headers['apikey'];
  if (apiKeys !== null && !apiKeys.includes(String(key))) return refusal(401, 401, 'Unauthorized');
  if (typeof key !== 'string' || key === '') return refusal(401, 401, 'Unauthorized');
  if ((instances[instance] ?? 'open') !== 'open') return refusal(400, 400, 'Error: Connection Closed');
  return null;
}

function twilioAccess(world: World, request: FastifyRequest): ForeignRefusal | null {
  const { accountSid, authToken } = world.settings().twilio;
  const basic = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
  const [user = '', secret = ''] = Buffer.from(basic, 'base64').toString().split(':');
  const isAccount = accountSid === null || user === accountSid || user.startsWith('SK');
  const isSecret = secret !== '' && (authToken === null || user.startsWith('SK') || secret === authToken);
  return isAccount && isSecret && user !== '' ? null : refusal(20003, 401, 'Authenticate');
}

function refusal(code: number, status: number, text: string): ForeignRefusal {
  return { refused: true, code, status, text, party: null };
}

function entryOf(request: FastifyRequest, senderId: string, message: ParsedMessage | null) {
  return {
    atMs: request.arrivedAtMs,
    phoneNumberId: senderId,
    kind: message === null ? ('invalid' as const) : ('message' as const),
    type: message?.type ?? '',
    to: message?.input ?? '',
    recipient: message?.party ?? '',
    digest: message === null ? '' : messageDigest(message),
    tag: message?.tag ?? null,
    taken: false,
    outcome: 'rejected' as const,
    code: null,
    httpStatus: 0,
    wamid: null,
    rule: null,
    inFlight: 0,
  };
}

/** Closes or opens the connection of an Evolution instance: the setting changes and the webhook tells. */
export function setConnection(world: World, instance: string, value: unknown): { instance: string; state: string } {
  const { state, statusReason } = isPlainObject(value) ? value : {};
  if (state !== 'open' && state !== 'close' && state !== 'connecting')
    throw new ControlError('state must be open, connecting or close.', {
      problems: [{ field: 'state', detail: 'must be open, connecting or close' }],
    });
  world.change({ evolution: { instances: { [instance]: state } } });
  world.outbox.sendEvent(instance, 'connection.update', {
    instance,
    state,
    statusReason: typeof statusReason === 'number' ? statusReason : state === 'close' ? 428 : 200,
  });
  return { instance, state };
}
