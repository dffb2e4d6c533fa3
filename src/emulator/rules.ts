import { z } from 'zod';
import type { ParsedRequest } from './request.ts';
import { ControlError, parseControl } from './settings.ts';
import { phoneDigits, waIdOf } from './identity.ts';

/** What a failure rule does to the request that it matches. "Taken" means: the message goes out, whatever the client sees. */
const actionSchema = z.discriminatedUnion('kind', [
  /** A definite refusal in Meta's envelope; not taken. */
  z.strictObject({
    kind: z.literal('error'),
    code: z.number().int().min(0).max(10_000_000),
    httpStatus: z.number().int().min(400).max(599).optional(),
    details: z.string().max(1000).optional(),
    transient: z.boolean().default(false),
  }),
  /** A status without Meta's envelope, as a gateway in between answers; `taken` says whether the message went. */
  z.strictObject({
    kind: z.literal('http'),
    status: z.number().int().min(200).max(599),
    body: z.enum(['empty', 'text', 'html', 'json']).default('html'),
    taken: z.boolean().default(false),
    retryAfterSeconds: z.number().int().min(0).max(86_400).optional(),
  }),
  /** Closes the connection with a reset: before or after the message was taken, or in the middle of the answer. */
  z.strictObject({ kind: z.literal('reset'), when: z.enum(['before', 'after', 'mid-answer']).default('after') }),
  /** Never answers. */
  z.strictObject({ kind: z.literal('hang'), when: z.enum(['before', 'after']).default('after') }),
  /** Takes the message and answers late. */
  z.strictObject({ kind: z.literal('slow'), delayMs: z.number().int().min(0).max(3_600_000) }),
  /** Takes the message and answers 200 without an id. */
  z.strictObject({ kind: z.literal('no-id'), body: z.enum(['no-messages', 'empty', 'html']).default('no-messages') }),
  /** Answers 200; later a `failed` status with this code. */
  z.strictObject({
    kind: z.literal('fail-later'),
    code: z.number().int().min(0).max(10_000_000),
    details: z.string().max(1000).optional(),
  }),
  /** Takes the message and sends no status ever. */
  z.strictObject({ kind: z.literal('no-status') }),
]);
export type RuleAction = z.output<typeof actionSchema>;

const ruleSchema = z.strictObject({
  id: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'letters, digits, dot, dash and underscore')
    .optional(),
  enabled: z.boolean().default(true),
  match: z
    .strictObject({
      phoneNumberId: z.string().optional(),
      /** Phone number, wa_id or user id. */
      recipient: z.string().optional(),
      /** `text`, `template`, …; `read` and `typing` for the other two requests. Default: messages only. */
      type: z.string().optional(),
      textIncludes: z.string().min(1).optional(),
      tagIncludes: z.string().min(1).optional(),
    })
    .prefault({}),
  /** Only the nth matching request (1 = the first). */
  nth: z.number().int().min(1).optional(),
  /** Every nth matching request. */
  every: z.number().int().min(1).optional(),
  probability: z.number().min(0).max(1).default(1),
  /** How often at most. */
  times: z.number().int().min(1).optional(),
  action: actionSchema,
});
export type RuleInput = z.input<typeof ruleSchema>;
export type Rule = z.output<typeof ruleSchema> & { id: string; matched: number; applied: number };

const RULES_MAX = 1000;

/** The failure rules, in the order in which they were added; the first that applies decides. */
export class Rules {
  #rules: Rule[] = [];
  #made = 0;
  #version = 0;

  /** Adds a rule, or replaces the one with the same id (its counters start again). */
  add(input: unknown): Rule {
    this.#version += 1;
    const parsed = parseControl(ruleSchema, input, 'rule');
    const rule: Rule = { ...parsed, id: parsed.id ?? `rule-${(this.#made += 1)}`, matched: 0, applied: 0 };
    const index = this.#rules.findIndex((entry) => entry.id === rule.id);
    if (index >= 0) this.#rules[index] = rule;
    else if (this.#rules.length >= RULES_MAX)
      throw new ControlError(`There are ${RULES_MAX} rules already: delete some.`);
    else this.#rules.push(rule);
    return rule;
  }

  remove(id: string): boolean {
    this.#version += 1;
    const before = this.#rules.length;
    this.#rules = this.#rules.filter((rule) => rule.id !== id);
    return this.#rules.length < before;
  }

  clear(): void {
    this.#version += 1;
    this.#rules = [];
  }

  /** Grows with every change and every application, so that a page knows when to look again. */
  get version(): number {
    return this.#version;
  }

  list(): readonly Rule[] {
    return this.#rules;
  }

  /** The rule that applies to this request, or null. Counts matches of every rule it looks at. */
  pick(phoneNumberId: string, request: ParsedRequest): Rule | null {
    for (const rule of this.#rules) {
      if (!rule.enabled || !matches(rule, phoneNumberId, request)) continue;
      rule.matched += 1;
      if (rule.times !== undefined && rule.applied >= rule.times) continue;
      if (rule.nth !== undefined && rule.matched !== rule.nth) continue;
      if (rule.every !== undefined && rule.matched % rule.every !== 0) continue;
      if (rule.probability < 1 && Math.random() >= rule.probability) continue;
      rule.applied += 1;
      this.#version += 1;
      return rule;
    }
    return null;
  }
}

function matches(rule: Rule, phoneNumberId: string, request: ParsedRequest): boolean {
  const { match } = rule;
  if (match.phoneNumberId !== undefined && match.phoneNumberId !== phoneNumberId) return false;
  if (request.kind !== 'message') return match.type === request.kind && match.recipient === undefined;
  if (match.type !== undefined && match.type !== request.type) return false;
  if (match.recipient !== undefined && !isRecipient(match.recipient, request.party)) return false;
  if (match.tagIncludes !== undefined && !request.tag?.includes(match.tagIncludes)) return false;
  return match.textIncludes === undefined || JSON.stringify(request.content).includes(match.textIncludes);
}

function isRecipient(wanted: string, party: string): boolean {
  if (wanted === party) return true;
  const digits = phoneDigits(wanted);
  return digits !== null && waIdOf(digits) === party;
}
