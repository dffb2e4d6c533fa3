import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { answer, ledgerAnswer, refuse } from './answer.ts';
import { countInFlight, countOutcome } from './counting.ts';
import { decide, keptOut, type Answer, type Decision } from './decide.ts';
import { authorise, phoneNumberOf, type GraphParams } from './graph-access.ts';
import { GraphError } from './graph-error.ts';
import { newWamid } from './identity.ts';
import { messageDigest, textDigest, type LedgerEntry } from './ledger.ts';
import type { NumberState } from './numbers.ts';
import { holdAnswer, take } from './outgoing.ts';
import { parseRequest, type ParsedMessage, type ParsedRead, type ParsedRequest } from './request.ts';
import { isPlainObject } from './settings.ts';
import { nowMs } from './timers.ts';
import type { World } from './world.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Epoch ms with a fraction, taken when the request's head had arrived. */
    arrivedAtMs: number;
  }
}

/** `POST /{version}/{phone_number_id}/messages`, and the same without the version. */
export function registerMessages(app: FastifyInstance, world: World): void {
  app.decorateRequest('arrivedAtMs', 0);
  app.addHook('onRequest', (request, _reply, next) => {
    request.arrivedAtMs = nowMs();
    next();
  });
  const handler = (request: FastifyRequest<{ Params: GraphParams }>, reply: FastifyReply): Promise<unknown> =>
    receive(world, request, reply);
  app.post('/:version/:id/messages', handler);
  app.post('/:id/messages', handler);
}

type MessagesRequest = FastifyRequest<{ Params: GraphParams }>;

async function receive(world: World, request: MessagesRequest, reply: FastifyReply): Promise<unknown> {
  const { totals } = world;
  totals.requests += 1;
  let number: NumberState | null = null;
  let parsed: ParsedRequest;
  try {
    authorise(world, request);
    number = phoneNumberOf(world, request);
    parsed = parseRequest(request.body, world.settings().strictFields);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    totals.rejected += 1;
    if (number) number.rejected += 1;
    await world.ledger.record(invalidEntry(request, error));
    world.live.statsChanged();
    return refuse(reply, error);
  }
  countInFlight(world, number, reply);
  number.used = true;
  number.requests += 1;
  if (parsed.kind === 'message') return receiveMessage(world, number, request, reply, parsed);
  return receiveRead(world, number, request, reply, parsed);
}

async function receiveMessage(
  world: World,
  number: NumberState,
  request: MessagesRequest,
  reply: FastifyReply,
  message: ParsedMessage,
): Promise<unknown> {
  const { totals } = world;
  const atMs = request.arrivedAtMs;
  totals.messages += 1;
  number.arrivals.add(atMs);
  world.pairs.arrived(number.id, message.party, atMs);
  const decision = decide(world, number, message, atMs);
  const wamid = decision.taken ? newWamid(message.party, 'out') : null;
  countOutcome(world, number, decision);
  const begin = wamid === null ? null : take(world, number.id, message, decision, wamid, request.params.version ?? '');
  const answered = ledgerAnswer(decision.answer);
  await world.ledger.record({
    atMs,
    phoneNumberId: number.id,
    kind: 'message',
    type: message.type,
    to: message.input,
    recipient: message.party,
    digest: messageDigest(message),
    tag: message.tag,
    taken: decision.taken,
    outcome: decision.outcome,
    code: answered.code ?? decision.failure?.code ?? null,
    httpStatus: answered.httpStatus,
    wamid,
    rule: decision.rule?.id ?? null,
    inFlight: number.inFlight,
  });
  world.live.statsChanged();
  if (!(await holdAnswer(world, decision, begin))) return reply.hijack();
  return answer(reply, decision.answer, () => okBody(message, decision, wamid ?? ''));
}

async function receiveRead(
  world: World,
  number: NumberState,
  request: MessagesRequest,
  reply: FastifyReply,
  read: ParsedRead,
): Promise<unknown> {
  const rule = world.rules.pick(number.id, read);
  const refusal = rule ? keptOut(rule.action) : null;
  if (!refusal) world.conversations.markRead(number.id, read.messageId);
  const answered: Answer = refusal ?? { kind: 'ok' };
  const shown = ledgerAnswer(answered);
  await world.ledger.record({
    ...emptyEntry(request),
    phoneNumberId: number.id,
    kind: read.kind,
    digest: textDigest(read.messageId),
    taken: refusal === null,
    outcome: refusal ? 'fault' : 'accepted',
    code: shown.code,
    httpStatus: shown.httpStatus,
    rule: rule?.id ?? null,
    inFlight: number.inFlight,
  });
  return answer(reply, answered, () => ({ success: true }));
}

function okBody(message: ParsedMessage, decision: Decision, wamid: string): unknown {
  const contact =
    message.partyKind === 'user'
      ? { input: message.input, user_id: message.party }
      : { input: message.input, wa_id: message.party };
  const status = decision.template?.hold === true ? 'held_for_quality_assessment' : 'accepted';
  return {
    messaging_product: 'whatsapp',
    contacts: [contact],
    messages: [
      {
        id: wamid,
        ...(message.partyKind === 'group' ? { group_id: message.party } : {}),
        ...(message.type === 'template' ? { message_status: status } : {}),
      },
    ],
  };
}

function emptyEntry(request: MessagesRequest): Omit<LedgerEntry, 'n'> {
  return {
    atMs: request.arrivedAtMs,
    phoneNumberId: request.params.id,
    kind: 'invalid',
    type: '',
    to: '',
    recipient: '',
    digest: '',
    tag: null,
    taken: false,
    outcome: 'rejected',
    code: null,
    httpStatus: 0,
    wamid: null,
    rule: null,
    inFlight: 0,
  };
}

function invalidEntry(request: MessagesRequest, error: GraphError): Omit<LedgerEntry, 'n'> {
  const body: Record<string, unknown> = isPlainObject(request.body) ? request.body : {};
  const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, 512) : '');
  return {
    ...emptyEntry(request),
    type: text(body['type']),
    to: text(body['to'] ?? body['recipient']),
    tag: typeof body['biz_opaque_callback_data'] === 'string' ? text(body['biz_opaque_callback_data']) : null,
    code: error.code,
    httpStatus: error.status,
  };
}
