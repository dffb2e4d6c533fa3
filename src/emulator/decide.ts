import { GraphError } from './graph-error.ts';
import { displayPhoneNumber, effectiveLimits, type NumberState } from './numbers.ts';
import { phoneDigits, waIdOf } from './identity.ts';
import type { ParsedMessage } from './request.ts';
import type { Rule, RuleAction } from './rules.ts';
import type { TemplateSettings } from './settings.ts';
import { isPlainObject } from './settings.ts';
import { findTemplate } from './template.ts';
import type { World } from './world.ts';

/** What the client gets to see. */
export type Answer =
  | { readonly kind: 'ok' }
  | { readonly kind: 'error'; readonly error: GraphError }
  | { readonly kind: 'raw'; readonly status: number; readonly body: RawBody; readonly retryAfterSeconds?: number }
  | { readonly kind: 'reset' }
  | { readonly kind: 'cut' }
  | { readonly kind: 'hang' };

export type RawBody = 'empty' | 'text' | 'html' | 'json' | 'no-messages';

export interface Decision {
  readonly taken: boolean;
  readonly outcome: 'accepted' | 'rejected' | 'limited' | 'fault';
  readonly answer: Answer;
  readonly delayMs: number;
  readonly rule: Rule | null;
  readonly template: TemplateSettings | null;
  /** Error of the later `failed` status. */
  readonly failure: { code: number; details?: string } | null;
  readonly silent: boolean;
}

/** Decides about a well-formed message: rules that keep it out, then what Meta checks, then rules that let it through. */
export function decide(world: World, number: NumberState, message: ParsedMessage, atMs: number): Decision {
  const rule = world.rules.pick(number.id, message);
  const before = rule ? keptOut(rule.action) : null;
  if (before)
    return {
      taken: false,
      outcome: 'fault',
      answer: before,
      delayMs: 0,
      rule,
      template: null,
      failure: null,
      silent: true,
    };
  let template: TemplateSettings | null = null;
  try {
    template = checkAgainstSettings(world, number, message);
    checkLimits(world, number, message, atMs);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const limited = error.code === 130429 || error.code === 131056;
    return {
      taken: false,
      outcome: limited ? 'limited' : 'rejected',
      answer: { kind: 'error', error },
      delayMs: 0,
      rule: null,
      template,
      failure: null,
      silent: true,
    };
  }
  const action = rule?.action ?? null;
  const answer = letThrough(action);
  return {
    taken: true,
    outcome: answer.kind === 'ok' ? 'accepted' : 'fault',
    answer,
    delayMs: action?.kind === 'slow' ? action.delayMs : 0,
    rule,
    template,
    failure: failureOf(world, number, message, action, atMs),
    silent: action?.kind === 'no-status' || template?.hold === true,
  };
}

/** What a rule answers when it keeps the request out, or null when it lets it through. */
export function keptOut(action: RuleAction): Answer | null {
  switch (action.kind) {
    case 'error':
      return {
        kind: 'error',
        error: new GraphError(action.code, {
          ...(action.httpStatus === undefined ? {} : { status: action.httpStatus }),
          ...(action.details === undefined ? {} : { details: action.details }),
          transient: action.transient,
        }),
      };
    case 'http':
      return action.taken ? null : rawAnswer(action);
    case 'reset':
      return action.when === 'before' ? { kind: 'reset' } : null;
    case 'hang':
      return action.when === 'before' ? { kind: 'hang' } : null;
    default:
      return null;
  }
}

function letThrough(action: RuleAction | null): Answer {
  switch (action?.kind) {
    case 'http':
      return rawAnswer(action);
    case 'reset':
      return { kind: action.when === 'mid-answer' ? 'cut' : 'reset' };
    case 'hang':
      return { kind: 'hang' };
    case 'no-id':
      return { kind: 'raw', status: 200, body: action.body };
    default:
      return { kind: 'ok' };
  }
}

function rawAnswer(action: Extract<RuleAction, { kind: 'http' }>): Answer {
  return {
    kind: 'raw',
    status: action.status,
    body: action.body,
    ...(action.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: action.retryAfterSeconds }),
  };
}

function checkAgainstSettings(world: World, number: NumberState, message: ParsedMessage): TemplateSettings | null {
  const settings = world.settings();
  if (message.partyKind === 'phone') {
    const own = phoneDigits(displayPhoneNumber(settings, number.id));
    if (own !== null && waIdOf(own) === message.party) throw new GraphError(131021);
    const allowed = settings.allowedRecipients;
    if (allowed && !allowed.some((entry) => waIdOf(phoneDigits(entry) ?? entry) === message.party))
      throw new GraphError(131030);
  }
  if (settings.knownMediaOnly && isPlainObject(message.content)) {
    const { id } = message.content;
    const media = ['image', 'video', 'audio', 'document', 'sticker'].includes(message.type);
    if (media && typeof id === 'string' && !world.media.find(id))
      throw new GraphError(131009, { details: `Media id ${id} does not exist or has expired.` });
  }
  return message.type === 'template' ? findTemplate(message.content, settings.templates) : null;
}

function checkLimits(world: World, number: NumberState, message: ParsedMessage, atMs: number): void {
  const settings = world.settings();
  const limits = effectiveLimits(settings, number.id);
  const status = settings.limits.httpStatus;
  if (limits.throughputPerSecond > 0 && number.passed.count(atMs) >= limits.throughputPerSecond) {
    number.throughputHits += 1;
    throw new GraphError(130429, { status });
  }
  const bucket = { capacity: limits.pairCapacity, refillMs: limits.pairRefillMs };
  if (!world.pairs.take(number.id, message.party, atMs, bucket)) {
    number.pairHits += 1;
    throw new GraphError(131056, { status });
  }
  number.passed.add(atMs);
}

/** What will end a message that was taken: a rule, the closed window, or a reaction to nothing. */
function failureOf(
  world: World,
  number: NumberState,
  message: ParsedMessage,
  action: RuleAction | null,
  atMs: number,
): Decision['failure'] {
  if (action?.kind === 'fail-later')
    return { code: action.code, ...(action.details === undefined ? {} : { details: action.details }) };
  const { window } = world.settings();
  const open =
    message.type === 'template' ||
    message.partyKind === 'group' ||
    world.pairs.windowOpen(number.id, message.party, atMs, window.lengthMs);
  if (window.enforce && !open) return { code: 131047 };
  if (message.type === 'reaction' && isPlainObject(message.content)) {
    const target = String(message.content['message_id']);
    if (world.conversations.knows(number.id, message.party, target) === 'no')
      return { code: 131009, details: 'The message that is reacted to does not exist.' };
  }
  return null;
}
